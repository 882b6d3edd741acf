package chaos

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// class is a kind of fault.
type class struct {
	name    string
	targets func(Options) []string
	length  func(*planner) time.Duration
	inject  injection
	on      []Topology // where there is such a thing; nil: everywhere
}

// injection does a fault and returns what undoes it after its time; nil if it is
// over at once.
type injection func(ctx context.Context, s *stage, f Step) (heal func(context.Context) error, err error)

// known returns every class of the topology, and "upgrade" if there is an old
// binary.
func (o Options) known() []class {
	all := slices.Concat(processClasses(), redisClasses(), postgresClasses(), networkClasses(), pressureClasses(),
		o.more)
	if o.OldBinary != "" {
		all = append(all, class{"upgrade", just("server"), instant, upgrade, nil})
	}
	return slices.DeleteFunc(all, func(c class) bool { return c.on != nil && !slices.Contains(c.on, o.Topology) })
}

// Classes returns the classes of faults that a topology knows.
func Classes(t Topology) []string { return Options{Topology: t}.Known() }

// Known returns the classes of faults that the options allow.
func (o Options) Known() (names []string) {
	for _, c := range o.known() {
		names = append(names, c.name)
	}
	return names
}

// What faults hit.
func just(name string) func(Options) []string {
	return func(Options) []string { return []string{name} }
}

func servers(o Options) []string { return numbered("server-%d", o.Servers) }
func workers(o Options) []string { return numbered("worker-%d", o.Workers) }

// toStore are the links of the servers to a store.
func toStore(store string) func(Options) []string {
	return func(o Options) []string { return numbered("server-%d→"+store, o.Servers) }
}

// callbacks are the taps through which executors call the servers.
func callbacks(o Options) []string { return numbered("worker-%d→servers", o.Workers) }

// triggers are the taps through which servers call executors; not all have one.
func triggers(o Options) []string {
	return slices.DeleteFunc(numbered("servers→worker-%d", o.Workers), func(name string) bool { return !tapped(name) })
}

func numbered(format string, n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf(format, i+1))
	}
	return names
}
