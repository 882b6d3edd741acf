package bench

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/storage"
)

// load is a set of jobs that each fire every interval.
type load struct {
	name, handler string
	params        any
	interval      time.Duration
	jobs          []firing
}

// firing is a job and its first fire, from which all others follow.
type firing struct {
	id    firjob.JobID
	first time.Time
}

// jobsFor is how many jobs that fire every interval make rate executions a second.
func jobsFor(rate int, interval time.Duration) int {
	return max(1, int(float64(rate)*interval.Seconds()))
}

// firstJob and lastJob bound the numbers of the set's jobs.
func (l *load) firstJob() firjob.JobID { return l.jobs[0].id }
func (l *load) lastJob() firjob.JobID  { return l.jobs[len(l.jobs)-1].id }

// expected counts the fires of a span from the jobs' first fires alone, apart
// from all that the scheduler computes.
func (l *load) expected(from, until time.Time) (n int64) {
	for _, j := range l.jobs {
		n += firesBefore(j.first, until, l.interval) - firesBefore(j.first, from, l.interval)
	}
	return n
}

// firesBefore counts first + k·interval < t, k ≥ 0.
func firesBefore(first, t time.Time, interval time.Duration) int64 {
	if !first.Before(t) {
		return 0
	}
	return int64((t.Sub(first)-1)/interval) + 1
}

// makers is how many callers make the jobs of a load. Their fires are as far
// apart as the making was.
const makers = 8

// grow makes jobs until the set has n. They are made one by one: those of a batch
// would all fire at one instant.
func (s *stage) grow(ctx context.Context, l *load, n int) error {
	have := len(l.jobs)
	if n <= have {
		return nil
	}
	s.o.say("making %d jobs that fire every %v", n-have, l.interval)
	l.jobs = append(l.jobs, make([]firing, n-have)...)
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(makers)
	var done atomic.Int64
	told := s.o.ticker()
	for i := have; i < n; i++ {
		group.Go(func() (err error) {
			l.jobs[i], err = s.createFiring(groupCtx, l, i)
			done.Add(1)
			return err
		})
		told.say("%d of %d jobs", done.Load(), n-have)
	}
	if err := group.Wait(); err != nil {
		return err
	}
	// Several callers have made them.
	slices.SortFunc(l.jobs, func(a, b firing) int { return cmp.Compare(a.id, b.id) })
	return nil
}

func (s *stage) createFiring(ctx context.Context, l *load, i int) (firing, error) {
	body := job(fmt.Sprintf("%s-%d", l.name, i), l.handler, object{"kind": "every", "interval": l.interval.String()})
	if l.params != nil {
		body["params"] = l.params
	}
	var made firjob.Job
	if err := s.api.call(ctx, "POST", "/api/v1/jobs", body, &made); err != nil {
		return firing{}, err
	}
	if made.NextFireAt == nil {
		return firing{}, fmt.Errorf("the server gave job %d no next fire", made.ID)
	}
	return firing{made.ID, *made.NextFireAt}, nil
}

// shrink takes the last jobs away until the set has n.
func (s *stage) shrink(ctx context.Context, l *load, n int) error {
	if n >= len(l.jobs) {
		return nil
	}
	s.o.say("taking %d jobs away", len(l.jobs)-n)
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(makers)
	for _, j := range l.jobs[n:] {
		group.Go(func() error {
			return s.api.call(groupCtx, "DELETE", fmt.Sprintf("/api/v1/jobs/%d", j.id), nil, nil)
		})
	}
	l.jobs = l.jobs[:n]
	return group.Wait()
}

// span is what was measured between two instants.
type span struct {
	from, until   time.Time
	before, after usage
}

// watch lets d pass and returns what was used meanwhile.
func (s *stage) watch(ctx context.Context, d time.Duration) (m span, err error) {
	m.from, m.before = time.Now().Truncate(time.Millisecond), s.usage()
	if err := s.o.wait(ctx, d, "measuring"); err != nil {
		return m, err
	}
	m.until, m.after = time.Now().Truncate(time.Millisecond), s.usage()
	return m, nil
}

// settle is how long executions of a span may take to end once it is over.
const settle = 2 * time.Minute

// settled audits a scope once as many executions as are expected are recorded, and
// all have ended, or when that has taken too long: then they count as lost.
func (s *stage) settled(ctx context.Context, scope storage.AuditScope, expected int64) (a firjob.Audit, err error) {
	deadline := time.Now().Add(settle)
	told := s.o.ticker()
	for {
		a, err = s.db.Audit(ctx, scope)
		if err != nil || a.Open == 0 && a.Recorded >= expected || time.Now().After(deadline) {
			return a, err
		}
		told.say("%d of %d executions are recorded, %d have not ended", a.Recorded, expected, a.Open)
		if !passed(ctx, 250*time.Millisecond) {
			return a, context.Cause(ctx)
		}
	}
}

// scope is the part of an audit that belongs to a load.
func (l *load) scope(m span) storage.AuditScope {
	return storage.AuditScope{From: m.from, Until: m.until, FirstJob: l.firstJob(), LastJob: l.lastJob()}
}

// measured compares the records of a load with what had to be.
func (s *stage) measured(ctx context.Context, l *load, m span) (Run, error) {
	expected := l.expected(m.from, m.until)
	a, err := s.settled(ctx, l.scope(m), expected)
	if err != nil {
		return Run{}, err
	}
	strays, err := s.strays(ctx, l, m)
	if err != nil {
		return Run{}, err
	}
	run := runOf(a, expected, m)
	run.setAside(strays, a, expected)
	return run, nil
}

// strays counts what is recorded of a load and was not due. Intervals of parts of a
// millisecond cannot be told so, for ids hold whole ones.
func (s *stage) strays(ctx context.Context, l *load, m span) (int64, error) {
	if l.interval%time.Millisecond != 0 {
		return 0, nil
	}
	firsts := make(map[firjob.JobID]time.Time, len(l.jobs))
	for _, j := range l.jobs {
		firsts[j.id] = j.first
	}
	return s.db.Strays(ctx, l.scope(m), firsts, l.interval)
}

// setAside makes sure that a fire which was not due does not stand in for one that
// was: the one is doubled and the other lost.
func (r *Run) setAside(strays int64, a firjob.Audit, expected int64) {
	r.Doubled = max(r.Doubled, strays)
	r.Lost = max(0, expected-max(0, a.Succeeded-strays))
}

func runOf(a firjob.Audit, expected int64, m span) Run {
	seconds := m.until.Sub(m.from).Seconds()
	run := Run{
		ExecutionsPerSecond: float64(a.Finished) / seconds,
		Offered:             float64(expected) / seconds,
		Executions:          a.Finished,
		Seconds:             seconds,
		Early:               a.Early,
		Lost:                max(0, expected-a.Succeeded),
		Doubled:             max(0, a.Recorded-expected),
		Repeated:            a.Repeated,
		LatenessMS:          latenessOf(a),
		CPUSeconds:          m.after.cpuSince(m.before),
		RSSMB:               m.after.rssMB,
	}
	if a.Finished > 0 {
		run.CPUPerExecution = sum(run.CPUSeconds) * 1e6 / float64(a.Finished)
	}
	return run
}

func latenessOf(a firjob.Audit) map[string]float64 {
	ms := make(map[string]float64)
	for i, name := range []string{"p50", "p99", "p999", "max"} {
		if i < len(a.LatenessMS) {
			ms[name] = a.LatenessMS[i]
		}
	}
	return ms
}
