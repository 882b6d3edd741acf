package checker

import (
	"slices"
	"time"

	"github.com/firjob/firjob"
)

// Spec is what the oracle knows of a job: when it fires, and what excuses a fire
// that was not run.
type Spec struct {
	First   time.Time     `json:"first,omitzero"`     // with Every: the first fire
	Every   time.Duration `json:"every,omitempty"`    // fires at First + k × Every
	Seconds []int         `json:"seconds,omitempty"`  // or: at these seconds of each minute
	Zone    Zone          `json:"zone,omitempty"`     // by whose clocks; nil: those of UTC
	SkipGap bool          `json:"skip_gap,omitempty"` // what the clocks leave out does not fire once after it
	Twice   bool          `json:"twice,omitempty"`    // what the clocks show twice fires twice
	Paused  bool          `json:"paused,omitempty"`
	Deleted bool          `json:"deleted,omitempty"`

	Overlap    firjob.Overlap       `json:"overlap,omitempty"`      // skip excuses what was skipped
	MaxRunning int                  `json:"max_running,omitempty"`  // handlers at a time; 0 = no limit
	Misfire    firjob.MisfirePolicy `json:"misfire,omitempty"`      // other than fire_all excuses what was missed
	Parent     firjob.JobID         `json:"parent,omitempty"`       // whose success triggers it, once
	AtMostOnce bool                 `json:"at_most_once,omitempty"` // excuses what was lost
}

// fires returns the instants in [from, until) at which the spec fires.
func (s Spec) fires(from, until time.Time) (list []time.Time) {
	switch {
	case s.Paused || s.Deleted:
	case s.Every > 0:
		at := s.First
		if at.Before(from) {
			at = at.Add((from.Sub(at) + s.Every - 1) / s.Every * s.Every)
		}
		for ; at.Before(until); at = at.Add(s.Every) {
			list = append(list, at)
		}
	case s.Zone != nil:
		return s.zoned(from, until)
	default:
		for at := from.Truncate(time.Second); at.Before(until); at = at.Add(time.Second) {
			if !at.Before(from) && slices.Contains(s.Seconds, at.Second()) {
				list = append(list, at)
			}
		}
	}
	return list
}

// demand is what is asked of an instant of a job.
type demand int

const (
	forbidden demand = iota // nothing may fire
	may                     // a change was under way
	must
)

// version is a job between two changes. The change that makes it began at begin
// and was answered at sure; one that was never answered is never sure.
type version struct {
	spec        Spec
	begin, sure time.Time
}

// plan is a job's versions in the order of their beginnings.
type plan []version

// plans gathers the writes of a history by job. wall tells the wall clock of a
// stamp.
func plans(events []Event, wall func(time.Duration) time.Time) map[firjob.JobID]plan {
	begun := map[int64]Event{}
	all := map[firjob.JobID]plan{}
	for _, e := range events {
		if e.Kind != KindWrite || e.Op == OpTrigger {
			continue
		}
		switch e.Phase {
		case PhaseBegin:
			begun[e.Write] = e
		case PhaseOK, PhaseUnknown:
			v := version{begin: wall(begun[e.Write].Mono)}
			if e.Spec != nil {
				v.spec = *e.Spec
			}
			if e.Phase == PhaseOK {
				v.sure = wall(e.Mono)
			}
			all[e.Job] = append(all[e.Job], v)
		}
	}
	for _, p := range all {
		slices.SortStableFunc(p, func(a, b version) int { return a.begin.Compare(b.begin) })
	}
	return all
}

// targets returns every instant in [from, until) at which any version of the
// job fires, with what is asked of it. slack is how long after the answer to a
// change its effect may take, and how long before its instant a fire may have
// been claimed, which a change does not reach any more.
func (p plan) targets(from, until time.Time, slack time.Duration) map[time.Time]demand {
	all := map[time.Time]demand{}
	for i, v := range p {
		end := until
		if i+1 < len(p) {
			end = p[i+1].begin
		}
		var last time.Time // when this version had certainly ended
		for _, next := range p[i+1:] {
			if !next.sure.IsZero() {
				last = next.sure.Add(slack)
				break
			}
		}
		if last.IsZero() || last.After(until) {
			last = until
		}
		for _, at := range v.spec.fires(later(from, v.begin), last) {
			asked := may
			if !v.sure.IsZero() && !at.Before(v.sure.Add(slack)) && at.Add(slack).Before(end) {
				asked = must
			}
			all[at] = max(all[at], asked)
		}
	}
	return all
}

// changedAround reports whether a change of the job was under way at the
// instant, give or take slack.
func (p plan) changedAround(at time.Time, slack time.Duration) bool {
	for _, v := range p {
		sure := v.sure
		if sure.IsZero() {
			return !at.Before(v.begin.Add(-slack))
		}
		if !at.Before(v.begin.Add(-slack)) && !at.After(sure.Add(slack)) {
			return true
		}
	}
	return false
}

// at returns the spec that held at the instant; the zero Spec before the first.
func (p plan) at(t time.Time) (s Spec) {
	for _, v := range p {
		if v.begin.After(t) {
			break
		}
		s = v.spec
	}
	return s
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
