package bench

import (
	"context"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/lab/labdb"
)

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
func (s *stage) settled(ctx context.Context, scope labdb.AuditScope, expected int64) (a labdb.Audit, err error) {
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
func (l *load) scope(m span) labdb.AuditScope {
	return labdb.AuditScope{From: m.from, Until: l.within(m.until), FirstJob: l.firstJob(), LastJob: l.lastJob()}
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
	beyond, err := s.beyond(ctx, l)
	run.Doubled += beyond
	return run, err
}

// strays counts what is recorded of a load and was not due.
func (s *stage) strays(ctx context.Context, l *load, m span) (int64, error) {
	firsts := make(map[firjob.JobID]time.Time, len(l.jobs))
	for _, j := range l.jobs {
		firsts[j.id] = j.first
	}
	return s.db.Strays(ctx, l.scope(m), firsts, l.interval)
}

// beyond counts what is recorded of a load from its end on.
func (s *stage) beyond(ctx context.Context, l *load) (int64, error) {
	if l.end.IsZero() {
		return 0, nil
	}
	scope := labdb.AuditScope{From: l.end, Until: l.end.Add(24 * time.Hour), FirstJob: l.firstJob(),
		LastJob: l.lastJob()}
	return s.db.Strays(ctx, scope, nil, l.interval) // of no job was anything due
}

// setAside makes sure that a fire which was not due does not stand in for one that
// was: the one is doubled and the other lost.
func (r *Run) setAside(strays int64, a labdb.Audit, expected int64) {
	r.Doubled = max(r.Doubled, strays)
	r.Lost = max(0, expected-max(0, a.Succeeded-strays))
}

func runOf(a labdb.Audit, expected int64, m span) Run {
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

func latenessOf(a labdb.Audit) map[string]float64 {
	ms := make(map[string]float64)
	for i, name := range []string{"p50", "p99", "p999", "max"} {
		if i < len(a.LatenessMS) {
			ms[name] = a.LatenessMS[i]
		}
	}
	return ms
}
