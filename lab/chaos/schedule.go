package chaos

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Step is one fault of a schedule.
type Step struct {
	At     time.Duration // since the load began
	Class  string
	Target string // what it hits, as in "server-2"
	For    time.Duration
	Draw   uint64 // whatever else is random about it
}

// String tells it in one line.
func (s Step) String() string {
	return fmt.Sprintf("%7.1fs  %-22s %-22s for %v", s.At.Seconds(), s.Class, s.Target,
		s.For.Round(100*time.Millisecond))
}

// pairs is the share of faults that get a second one beside them.
const pairs = 0.2

// Plan returns the faults of a run, which follow from its options alone: every
// class once, in a random order, then all again, as long as there is time. A
// fault comes Off after the end of the one before, some with another beside them
// that hits something else.
func Plan(o Options) ([]Step, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if len(o.classes()) == 0 {
		return nil, errors.New("no fault is left that could be done here")
	}
	p := &planner{Options: o, random: rand.New(rand.NewPCG(o.Seed, 1))}
	for at := o.Quiet; at+o.OnMin <= o.Duration; {
		first := p.step(at)
		end := at + first.For
		steps := []Step{first}
		if p.random.Float64() < pairs && first.For > 0 {
			if second := p.step(at + p.upTo(first.For)); !clash(first, second) {
				steps = append(steps, second)
				end = max(end, second.At+second.For)
			} else {
				p.putBack(second.Class)
			}
		}
		if end > o.Duration {
			break
		}
		p.steps = append(p.steps, steps...)
		at = end + o.Off
	}
	if len(p.steps) == 0 {
		return nil, fmt.Errorf("no fault fits into %v", o.Duration)
	}
	return p.steps, nil
}

// planner draws steps.
type planner struct {
	Options
	random *rand.Rand
	deck   []class // those that are still to come, in their order
	steps  []Step
}

func (p *planner) step(at time.Duration) Step {
	if len(p.deck) == 0 {
		p.deck = p.classes()
		p.random.Shuffle(len(p.deck), func(i, j int) { p.deck[i], p.deck[j] = p.deck[j], p.deck[i] })
	}
	c := p.deck[0]
	p.deck = p.deck[1:]
	targets := c.targets(p.Options)
	return Step{At: at, Class: c.name, Target: targets[p.random.IntN(len(targets))], For: c.length(p),
		Draw: p.random.Uint64()}
}

func (p *planner) putBack(name string) {
	for _, c := range p.classes() {
		if c.name == name {
			p.deck = append(p.deck, c)
		}
	}
}

func (p *planner) upTo(d time.Duration) time.Duration {
	return time.Duration(p.random.Int64N(max(1, int64(d))))
}

// classes returns the classes that the options name.
func (o Options) classes() []class {
	return slices.DeleteFunc(o.known(), func(c class) bool { return !slices.Contains(o.Classes, c.name) })
}

// spell is a length between the shortest and the longest fault.
func spell(p *planner) time.Duration { return p.OnMin + p.upTo(p.OnMax-p.OnMin) }

// aroundLease is a length about that of a lease, where the bounds of things lie;
// those beyond the longest fault are left out.
func aroundLease(p *planner) time.Duration {
	all := []time.Duration{leaseTTL * 3 / 10, leaseTTL * 9 / 10, leaseTTL * 11 / 10, leaseTTL * 3}
	fits := slices.DeleteFunc(all, func(d time.Duration) bool { return d > p.OnMax })
	if len(fits) == 0 {
		return p.OnMax
	}
	return fits[p.random.IntN(len(fits))]
}

// instant is the length of a fault that is over once it is done.
func instant(*planner) time.Duration { return 0 }

// clash reports whether two faults hit the same thing, so that the one would undo
// the other. The name of a whole is the beginning of the names of its parts.
func clash(a, b Step) bool {
	return strings.HasPrefix(a.Target, b.Target) || strings.HasPrefix(b.Target, a.Target)
}

// writeSchedule tells a schedule to people.
func writeSchedule(w io.Writer, o Options, steps []Step) error {
	_, err := fmt.Fprintf(w, "seed %d, %v of load at %d fires/s, topology %s\n", o.Seed, o.Duration, o.Rate, o.Topology)
	for _, s := range steps {
		if err == nil {
			_, err = fmt.Fprintln(w, s)
		}
	}
	return err
}
