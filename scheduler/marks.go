package scheduler

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// place is where an executor is, or may come to be: what marks are set about.
type place struct{ app, address string }

// count finds out what counts of an executor; executors.mu is held.
func (e *executor) count() { e.counts = e.State.Stricter(e.mark.State) }

// refreshMarks reads what is set about executors.
func (x *executors) refreshMarks(ctx context.Context) {
	x.reading.Lock()
	defer x.reading.Unlock()
	x.mu.Lock()
	before := x.marked
	x.mu.Unlock()
	list, err := x.Store.Marks(ctx)
	if !x.Troubles.report(ctx, "read what is set about executors", err) {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.marked != before {
		return // a mark was set meanwhile; it may be missing from what was read
	}
	x.marks = make(map[place]firjob.Mark, len(list))
	for _, m := range list {
		x.marks[place{m.App, m.Address}] = m
	}
	for _, e := range x.live {
		e.mark = x.marks[place{e.App, e.Address}]
		e.count()
	}
}

// setMark enters a mark that was stored through this replica.
func (x *executors) setMark(m firjob.Mark) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.marked++
	at := place{m.App, m.Address}
	if delete(x.marks, at); m.State != firjob.ExecutorActive {
		if x.marks == nil {
			x.marks = make(map[place]firjob.Mark)
		}
		x.marks[at] = m
	}
	for _, e := range x.apps[m.App] {
		if e.Address == m.Address {
			e.mark = x.marks[at]
			e.count()
		}
	}
}

// takes reports whether an executor lives, as far as is known, and takes
// triggers.
func (x *executors) takes(key firjob.ExecutorKey) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	e, ok := x.live[key]
	return ok && e.takes()
}

// view returns the executors of an app, by address, and the addresses at which
// there is none but a mark.
func (x *executors) view(app string) []ports.ExecutorView {
	x.mu.Lock()
	defer x.mu.Unlock()
	list := []ports.ExecutorView{}
	seen := make(map[string]bool)
	for _, e := range x.apps[app] {
		v := ports.ExecutorView{Executor: e.Executor, Counts: e.counts, Live: true, Mute: e.mute,
			Contact: x.Sender.Contact(e.Key())}
		if m := e.mark; m.Address != "" {
			v.Mark = &m
		}
		seen[e.Address] = true
		list = append(list, v)
	}
	for at, m := range x.marks {
		if at.app == app && !seen[at.address] {
			list = append(list,
				ports.ExecutorView{Executor: firjob.Executor{App: app, Address: at.address}, Mark: &m, Counts: m.State})
		}
	}
	slices.SortStableFunc(list, func(a, b ports.ExecutorView) int { return strings.Compare(a.Address, b.Address) })
	return list
}

// nudge tells the other servers to look at the executors of an app now. While
// Redis is away they find out by themselves.
func (x *executors) nudge(ctx context.Context, app string) {
	if x.Queue.degraded.Load() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), beatTimeout)
	defer cancel()
	if err := x.Registry.Nudge(ctx, app); err != nil {
		x.Queue.failed(ctx, "nudge", err)
	}
}

// obey looks at the executors of apps that other servers speak of, until ctx
// ends.
func (x *executors) obey(ctx context.Context) {
	var doubts sync.WaitGroup
	defer doubts.Wait()
	nudges := x.Registry.Nudges(ctx)
	for app := range nudges {
		apps := []string{app}
		for len(nudges) > 0 {
			if more := <-nudges; more != "" && !slices.Contains(apps, more) {
				apps = append(apps, more)
			}
		}
		x.refreshMarks(ctx)
		list, degraded, ok := x.reread(ctx, apps)
		if !ok || degraded {
			continue
		}
		// Whoever has left is asked in person: an emptied registry kills nobody.
		doubts.Go(func() { x.resolveDoubts(ctx, x.missing(apps, list), false) })
	}
}

// missing returns the live executors of apps that are not among those listed.
func (x *executors) missing(apps []string, listed []ports.Alive) []doubt {
	x.mu.Lock()
	defer x.mu.Unlock()
	there := make(map[firjob.ExecutorKey]bool, len(listed))
	for _, a := range listed {
		there[a.Key()] = true
	}
	var list []doubt
	now := x.Clock.local()
	for _, app := range apps {
		for _, e := range x.apps[app] {
			if !there[e.Key()] {
				list = append(list, doubt{e.Executor, now.Sub(e.seen)})
			}
		}
	}
	return list
}

// ExecutorMarked takes a mark that was just stored: from now on it counts here,
// and a moment later on every replica.
func (s *Scheduler) ExecutorMarked(ctx context.Context, mark firjob.Mark) {
	s.executors.setMark(mark)
	s.executors.nudge(ctx, mark.App)
}
