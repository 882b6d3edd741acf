package chaos

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Topology is what kind of Redis the cluster stands on.
type Topology string

// The topologies.
const (
	Single   Topology = "single"   // one Redis, behind links
	Sentinel Topology = "sentinel" // a primary, its replica and a sentinel
	Cluster  Topology = "cluster"  // three primaries
)

// Options say what a run is. Seed, Duration and Dir must be given.
type Options struct {
	Dir      string // of the artefacts; made if need be
	Seed     uint64 // of the schedule of faults, of the load and of each fault's details
	Duration time.Duration
	Topology Topology // Single by default
	Rate     int      // fires a second; 200 by default

	Servers int // 3 by default
	Workers int // 4 by default

	Classes []string      // of faults; all that the topology knows by default
	Quiet   time.Duration // before the first fault; 15 s by default
	OnMin   time.Duration // shortest and longest fault; 5 s and 20 s by default
	OnMax   time.Duration
	Off     time.Duration // between faults; 10 s by default

	// Settle is how long processes and stores may take, once all is quiet, to be
	// back at what they used before the load: the time after which an idle
	// connection is closed, and a little more. 0: they are not looked at.
	Settle time.Duration

	Binary    string // the firjob program; this very one by default
	OldBinary string // runs the servers at first; the class "upgrade" replaces it under load

	more    []class                                // of faults, beside those that there always are
	environ func(process string) ([]string, error) // what is added to a process's environment; nil: nothing
	narrow  *narrow                                // nil: a full run

	// Progress takes a line now and then. nil: nobody listens.
	Progress func(line string)
}

// The timers that a run shortens, so that a fault of some seconds crosses them.
const (
	leaseTTL     = 6 * time.Second
	scanInterval = 2 * time.Second
	horizon      = 10 * time.Second
)

func (o Options) withDefaults() (Options, error) {
	setDefault(&o.Topology, Single)
	setDefault(&o.Rate, 200)
	setDefault(&o.Servers, 3)
	setDefault(&o.Workers, 4)
	setDefault(&o.Quiet, 15*time.Second)
	setDefault(&o.OnMin, 5*time.Second)
	setDefault(&o.OnMax, max(o.OnMin, 20*time.Second))
	setDefault(&o.Off, 10*time.Second)
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	known := o.Known()
	if o.Classes == nil {
		o.Classes = known
	}
	return o, errors.Join(o.faults(known)...)
}

func setDefault[T comparable](value *T, otherwise T) {
	var zero T
	if *value == zero {
		*value = otherwise
	}
}

func (o Options) faults(known []string) (faults []error) {
	if o.Dir == "" {
		faults = append(faults, errors.New("a run needs a folder for what it writes"))
	}
	if !slices.Contains([]Topology{Single, Sentinel, Cluster}, o.Topology) {
		faults = append(faults, fmt.Errorf("%q is not a topology; want single, sentinel or cluster", o.Topology))
	}
	if o.OnMin > o.OnMax {
		faults = append(faults, fmt.Errorf("the shortest fault, %v, is longer than the longest, %v", o.OnMin, o.OnMax))
	}
	if o.Duration < o.Quiet+o.OnMin {
		faults = append(faults,
			fmt.Errorf("a run of %v has no room for a fault: %v are quiet, and the shortest takes %v", o.Duration,
				o.Quiet, o.OnMin))
	}
	for _, name := range o.Classes {
		if !slices.Contains(known, name) {
			faults = append(faults,
				fmt.Errorf("%q is not a fault of the topology %s; want some of %q", name, o.Topology, known))
		}
	}
	return faults
}
