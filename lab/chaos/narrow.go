package chaos

import (
	"cmp"
	"time"

	"github.com/firjob/firjob/lab/checker"
)

// narrow makes of a run one that shows a single thing, soon and for certain: jobs
// and faults are chosen and not drawn, timers are shorter, and little is waited
// for. Its tolerances are no wider than those of a full run.
type narrow struct {
	jobs     map[string]definition
	steps    []Step // the targets of which must be there
	storm    bool   // change jobs all the time
	env      []string
	lease    time.Duration // as in a full run by default
	recovery time.Duration // as in a full run by default, which is the most there may be
	drain    time.Duration // how long what is open in the end may take; as in a full run by default
}

// timers are what a run shortens, so that a fault of some seconds crosses them, and
// how long it waits in its end.
type timers struct {
	lease, scan, horizon time.Duration
	recovery             time.Duration // after the last fault
	drain                time.Duration // for executions that are open then
}

func (o Options) timers() timers {
	t := timers{leaseTTL, scanInterval, horizon, checker.Defaults().Recovery, drainPatience}
	if n := o.narrow; n != nil {
		t.scan, t.horizon = time.Second, 4*time.Second
		t.lease = cmp.Or(n.lease, t.lease)
		t.recovery = min(cmp.Or(n.recovery, t.recovery), t.recovery)
		t.drain = cmp.Or(n.drain, t.drain)
	}
	return t
}

// forgetting is how long the delay queue may keep what a pause has superseded: until
// its time comes and nobody may claim it.
func (t timers) forgetting() time.Duration { return t.horizon + t.scan }

// tolerances are those of the run's report.
func (o Options) tolerances() checker.Options {
	t := checker.Defaults()
	t.Recovery = o.timers().recovery
	return t
}

// environment returns what is added to that of each process.
func (o Options) environment() (map[string][]string, error) {
	all := map[string][]string{}
	for _, name := range append(servers(o), workers(o)...) {
		if o.environ != nil {
			env, err := o.environ(name)
			if err != nil {
				return nil, err
			}
			all[name] = env
		}
		if o.narrow != nil {
			all[name] = append(all[name], o.narrow.env...)
		}
	}
	return all, nil
}
