package storage_test

import (
	"slices"
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// stuckBounds are short, so that a defect need not be old.
var stuckBounds = ports.StuckBounds{Overdue: 10 * time.Second, Orphaned: 10 * time.Second, Overtime: 10 * time.Second, Silent: time.Minute}

func (s *store) stuck() ports.StuckReport {
	s.t.Helper()
	report, err := s.Stuck(s.t.Context(), stuckBounds, 1000)
	if err != nil {
		s.t.Fatal(err)
	}
	return report
}

// sound is a database in which everything that may last does last.
func sound(t *testing.T) *store {
	s := newStore(t)
	now := s.now()
	s.plan(s.job(nil), now, now.Add(time.Second), now.Add(50*time.Second))
	_, held := s.fire(func(j *firjob.Job) { j.Timeout = firjob.Duration(time.Second) })
	s.SaveExecutors(t.Context(), []firjob.Executor{{App: app, Address: executor.Address, Incarnation: executor.Incarnation, State: firjob.ExecutorActive}})
	if _, err := s.Hold(t.Context(), []ports.Held{hold(s.mustClaim(held), executor)}, 30*time.Second); err != nil {
		t.Fatal(err)
	}
	s.cast(2, nil)
	// What was on an executor that has just started anew is about to be ended. What
	// an exclusive job has begun ends with its lease and not before.
	s.SaveExecutors(t.Context(), []firjob.Executor{{App: app, Address: "10.0.0.8:9999", Incarnation: "two", State: firjob.ExecutorActive, StartedAt: now}})
	_, before := s.fire(nil)
	s.mustClaim(before)
	_, exclusive := s.fire(func(j *firjob.Job) { j.Exclusive, j.Overlap = true, firjob.OverlapSkip })
	s.mustClaim(exclusive)
	s.exec(`UPDATE executions SET executor = '10.0.0.8:9999', incarnation = 'one' WHERE id = $1`, before.String())
	s.exec(`UPDATE executions SET executor = '10.9.9.9:1', incarnation = 'gone', started_at = now() WHERE id = $1`, exclusive.String())
	queue := s.job(func(j *firjob.Job) { j.Overlap = firjob.OverlapQueue; j.Misfire.Policy = firjob.MisfireFireAll })
	line := s.plan(queue, now.Add(-2*time.Minute), now.Add(-time.Minute))
	s.mustClaim(line[0])
	s.claim(line[1]) // waits for its turn, and may for ever
	return s
}

func TestStuck(t *testing.T) {
	t.Parallel()
	plan := func(s *store) firjob.ExecutionID {
		return s.plan(s.job(func(j *firjob.Job) { j.Misfire.Policy = firjob.MisfireFireAll }), s.now().Add(-time.Minute))[0]
	}
	running := func(change string) func(*store) firjob.ExecutionID {
		return func(s *store) firjob.ExecutionID {
			_, id := s.fire(nil)
			s.mustClaim(id)
			s.exec(`UPDATE executions SET `+change+` WHERE id = $1`, id.String())
			return id
		}
	}
	overdue := func(r ports.StuckReport) ports.Suspects { return r.Overdue }
	orphaned := func(r ports.StuckReport) ports.Suspects { return r.Orphaned }
	stuck := func(r ports.StuckReport) ports.Suspects { return r.Stuck }
	claim := func(s *store, id firjob.ExecutionID) { s.mustClaim(id) }
	expire := func(s *store, _ firjob.ExecutionID) {
		if _, err := s.ExpireLeases(s.t.Context(), 10); err != nil {
			s.t.Fatal(err)
		}
	}
	end := func(s *store, id firjob.ExecutionID) {
		s.exec(`UPDATE executions SET state = 'lost', finished_at = now() WHERE id = $1`, id.String())
	}
	tests := map[string]struct {
		plant  func(*store) firjob.ExecutionID
		kind   func(ports.StuckReport) ports.Suspects
		repair func(*store, firjob.ExecutionID)
	}{
		"planned, and nobody claims it":        {plan, overdue, claim},
		"a lease that nobody ends":             {running(`lease_until = now() - interval '11 s'`), orphaned, expire},
		"running without a lease":              {running(`lease_until = NULL`), orphaned, end},
		"a deadline that nobody minds":         {running(`deadline_at = now() - interval '11 s'`), stuck, expire},
		"on an executor that nobody has heard": {running(`executor = '10.9.9.9:1', incarnation = 'gone'`), stuck, end},
		"on an executor's earlier incarnation": {running(`executor = '10.0.0.7:9999', incarnation = 'zero'`), stuck, end},
		"a broadcast that nothing ends": {func(s *store) firjob.ExecutionID {
			_, parent, _ := s.cast(1, nil)
			s.exec(`DELETE FROM broadcasts WHERE execution_id = $1`, parent.String())
			return parent
		}, orphaned, end},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := sound(t)
			if got := s.stuck(); got.Overdue.Count+got.Orphaned.Count+got.Stuck.Count != 0 {
				t.Fatalf("before: got %+v, want nothing", got)
			}
			id := tt.plant(s)
			got := s.stuck()
			if found := tt.kind(got); found.Count != 1 || !slices.Equal(found.First, []firjob.ExecutionID{id}) {
				t.Errorf("got %+v, want %s in its place", got, id)
			}
			if all := got.Overdue.Count + got.Orphaned.Count + got.Stuck.Count; all != 1 {
				t.Errorf("got %+v, want it counted once", got)
			}
			tt.repair(s, id)
			if got := s.stuck(); got.Overdue.Count+got.Orphaned.Count+got.Stuck.Count != 0 {
				t.Errorf("after the repair: got %+v, want nothing", got)
			}
		})
	}
}

// Counting ends at the limit, and the earliest are named.
func TestStuckStopsAtItsLimit(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	now := s.now()
	ids := s.plan(s.job(func(j *firjob.Job) { j.Misfire.Policy = firjob.MisfireFireAll }),
		now.Add(-5*time.Minute), now.Add(-4*time.Minute), now.Add(-3*time.Minute), now.Add(-2*time.Minute), now.Add(-time.Minute))
	got, err := s.Stuck(t.Context(), stuckBounds, 4)
	if err != nil {
		t.Fatal(err)
	}
	if got.Overdue.Count != 4 {
		t.Errorf("counted %d, want the limit of 4", got.Overdue.Count)
	}
	wantIDs(t, "the earliest", got.Overdue.First, ids[:3]...)
}

func TestFates(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	now := s.now()
	planned := s.plan(s.job(nil), now.Add(30*time.Second))[0]
	_, running := s.fire(nil)
	s.mustClaim(running)
	nobody := firjob.Fire(9999, now)
	got, err := s.Fates(t.Context(), []firjob.ExecutionID{planned, running, nobody})
	if err != nil {
		t.Fatal(err)
	}
	if f := got[planned]; f.State != firjob.StatePlanned || f.Waiting || f.DueIn < 25*time.Second || f.DueIn > 30*time.Second {
		t.Errorf("planned: got %+v, want it due in just under 30s", f)
	}
	if f := got[running]; f.State != firjob.StateRunning || f.DueIn > 0 {
		t.Errorf("running: got %+v, want it running and due before now", f)
	}
	if _, ok := got[nobody]; ok || len(got) != 2 {
		t.Errorf("got %+v, want the two that exist", got)
	}
	if got, err := s.Fates(t.Context(), nil); err != nil || len(got) != 0 {
		t.Errorf("of none: got %v, %v; want nothing", got, err)
	}
}
