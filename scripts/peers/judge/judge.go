// Package judge compares what had to run with what did run. It knows no
// scheduler: what had to run is a list of targets, what did run are the lines
// that handlers wrote, and the same few rules hold for every system.
//
//   - An execution is what a system calls one; a start that says it is a first
//     attempt, of an execution that was started before, is a new execution.
//   - An execution belongs to the target that its system names. A system that
//     names none is judged by disjoint windows: the first start in the window that
//     a target opens belongs to that target, any other start in it to the oldest
//     target of the same key before it that has none, and else it is a double.
//   - A target without an execution is missed. One with two executions, or one
//     whose handler ran to its end twice, is doubled. A further start of the same
//     execution is a re-run, which at-least-once allows. One that was started and
//     never ran to its end is stuck.
package judge

import (
	"slices"
	"time"
)

// Target is one instant at which a handler had to start, once.
type Target struct {
	Key    string
	Due    time.Time
	Window time.Duration // until the next target of the key; 0 = it is the only one
}

// Case is what is judged.
type Case struct {
	Targets []Target
	Lines   []Line
	Fault   time.Time // re-runs are timed from here
}

// Verdict is the outcome. Times are of handler starts.
type Verdict struct {
	Expected  int           `json:"expected"`
	Missed    int           `json:"missed"`
	Doubled   int           `json:"doubled"`
	Early     int           `json:"early"` // by more than a millisecond
	Rerun     int           `json:"rerun"`
	Stuck     int           `json:"stuck"`
	WorstLate time.Duration `json:"worst_late_ns"` // of first starts
	RerunFrom time.Duration `json:"rerun_from_ns"` // from the fault to the first re-run
	RerunTo   time.Duration `json:"rerun_to_ns"`   // and to the last
}

// tolerance is how far clocks read in different processes may seem to differ.
const tolerance = time.Millisecond

// execution is what became of one.
type execution struct {
	key, id string
	due     time.Time // as its system says
	starts  []time.Time
	ends    int
}

// Judge applies the rules. Executions that belong to no target are not counted:
// they are of instants before or after the judged span.
func Judge(c Case) Verdict {
	v := Verdict{Expected: len(c.Targets)}
	for t, list := range assign(c.Targets, executions(c.Lines)) {
		v.add(c.Targets[t], list, c.Fault)
	}
	return v
}

func (v *Verdict) add(t Target, list []*execution, fault time.Time) {
	if len(list) == 0 {
		v.Missed++
		return
	}
	first, ends := list[0].starts[0], 0
	v.Doubled += len(list) - 1
	for _, e := range list {
		first = earlier(first, e.starts[0])
		ends += e.ends
		v.Doubled += max(0, e.ends-1)
		v.Rerun += len(e.starts) - 1
		for _, at := range e.starts[1:] {
			v.timeRerun(at.Sub(fault))
		}
	}
	if ends == 0 {
		v.Stuck++
	}
	if first.Before(t.Due.Add(-tolerance)) {
		v.Early++
	}
	v.WorstLate = max(v.WorstLate, first.Sub(t.Due))
}

func (v *Verdict) timeRerun(after time.Duration) {
	if v.RerunFrom == 0 || after < v.RerunFrom {
		v.RerunFrom = after
	}
	v.RerunTo = max(v.RerunTo, after)
}

// executions gathers lines, in the order of the first starts.
func executions(lines []Line) (all []*execution) {
	lines = slices.Clone(lines)
	slices.SortStableFunc(lines, func(a, b Line) int { return a.At.Compare(b.At) })
	last := make(map[string]*execution)
	for _, l := range lines {
		name := l.Key + "\x00" + l.Exec
		e := last[name]
		if e == nil || l.Event == Start && l.Attempt <= 1 {
			e = &execution{key: l.Key, id: l.Exec}
			all, last[name] = append(all, e), e
		}
		switch l.Event {
		case Start:
			e.starts = append(e.starts, l.At)
			if e.due.IsZero() {
				e.due = l.Due
			}
		case End:
			e.ends++
		}
	}
	return slices.DeleteFunc(all, func(e *execution) bool { return len(e.starts) == 0 })
}

// assign returns the executions of each target.
func assign(targets []Target, all []*execution) [][]*execution {
	byKey := make(map[string][]int)
	for i, t := range targets {
		byKey[t.Key] = append(byKey[t.Key], i)
	}
	for _, list := range byKey {
		slices.SortFunc(list, func(a, b int) int { return targets[a].Due.Compare(targets[b].Due) })
	}
	assigned := make([][]*execution, len(targets))
	for _, e := range all {
		if t, ok := target(targets, byKey[e.key], assigned, e); ok {
			assigned[t] = append(assigned[t], e)
		}
	}
	return assigned
}

// target finds the target of one execution among those of its key, which are in
// the order of their instants.
func target(targets []Target, list []int, assigned [][]*execution, e *execution) (int, bool) {
	own := -1
	for at, i := range list {
		if belongs(targets[i], e) {
			own = at
			break
		}
	}
	if own < 0 {
		return 0, false
	}
	if e.due.IsZero() && len(assigned[list[own]]) > 0 {
		for _, i := range list[:own] {
			if len(assigned[i]) == 0 {
				return i, true
			}
		}
	}
	return list[own], true
}

func belongs(t Target, e *execution) bool {
	switch {
	case t.Window == 0:
		return true
	case !e.due.IsZero():
		return e.due.Sub(t.Due).Abs() <= tolerance
	}
	return !e.starts[0].Before(t.Due) && e.starts[0].Before(t.Due.Add(t.Window))
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
