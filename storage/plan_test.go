package storage_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

func TestPlanDue(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job := s.job(nil)
	far := s.job(nil)
	s.exec(`UPDATE jobs SET next_fire_at = now() + interval '1 hour' WHERE id = $1`, int64(far.ID))
	now := s.now()
	at := []time.Time{now, now.Add(time.Second)}
	start := s.anchor(job.ID)
	next := now.Add(2 * time.Second)
	planned, taken, err := s.PlanDue(t.Context(), time.Minute, 10, func(clock time.Time, j firjob.Job, anchor time.Time) (ports.Plan, error) {
		if j.ID != job.ID || !anchor.Equal(start) || clock.Before(now.Add(-time.Second)) {
			t.Errorf("asked at %v for %+v with anchor %v", clock, j, anchor)
		}
		return ports.Plan{Fires: at, Next: next}, nil
	})
	if err != nil || taken != 1 {
		t.Fatalf("taken: got %d, %v; want 1", taken, err)
	}
	wantIDs(t, "planned", idsOf(planned), firjob.Fire(job.ID, at[0]), firjob.Fire(job.ID, at[1]))
	if got := s.nextFire(job.ID); !got.Equal(next) {
		t.Errorf("next fire: got %v, want %v", got, next)
	}
}

func TestPlannersRace(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job := s.job(nil)
	start := *job.NextFireAt
	step := func(_ time.Time, j firjob.Job, _ time.Time) (ports.Plan, error) {
		return ports.Plan{Fires: []time.Time{*j.NextFireAt}, Next: j.NextFireAt.Add(time.Second)}, nil
	}
	var planned [4][]firjob.Due
	together(len(planned), func(i int) {
		db := s.open()
		for range 10 {
			due, err := db.PlanJobs(t.Context(), []firjob.JobID{job.ID}, time.Hour, step)
			if err != nil {
				t.Error(err)
			}
			planned[i] = append(planned[i], due...)
			if due, _, err = db.PlanDue(t.Context(), time.Hour, 10, step); err != nil {
				t.Error(err)
			}
			planned[i] = append(planned[i], due...)
		}
	})
	seen := map[firjob.ExecutionID]bool{}
	for _, list := range planned {
		for _, d := range list {
			if seen[d.ID] {
				t.Errorf("%s was planned twice", d.ID)
			}
			seen[d.ID] = true
		}
	}
	for i := range len(seen) {
		if id := firjob.Fire(job.ID, start.Add(time.Duration(i)*time.Second)); !seen[id] {
			t.Errorf("fire %d is missing among %d", i, len(seen))
		}
	}
	if want := start.Add(time.Duration(len(seen)) * time.Second); !s.nextFire(job.ID).Equal(want) {
		t.Errorf("next fire: got %v, want %v", s.nextFire(job.ID), want)
	}
}

func TestPlanningTheSameFireAgainChangesNothing(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job, id := s.fire(nil)
	s.mustClaim(id)
	wantIDs(t, "planned again", s.plan(job, id.ScheduledAt()))
	s.wantState(id, firjob.StateRunning)
}

func TestSupersededFireIsRevived(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job, id := s.fire(nil)
	edited := s.edit(job.ID, func(j *firjob.Job) {
		j.Handler, j.Schedule.Interval = "other", firjob.Duration(2*time.Second)
	})
	if e := s.wantState(id, firjob.StateSuperseded); e.Reason != "the job was changed to version 2" {
		t.Errorf("reason: got %q", e.Reason)
	}
	wantIDs(t, "dropped", s.claim(id).Dropped, id)
	wantIDs(t, "planned by version 2", s.plan(edited, id.ScheduledAt()), id)
	if e := s.wantState(id, firjob.StatePlanned); e.JobVersion != 2 || e.FinishedAt != nil || e.Reason != "" {
		t.Errorf("revived as %+v", e)
	}
	got := s.claim(id)
	if len(got.Claimed) != 1 || got.Claimed[0].Trigger.Handler != "other" {
		t.Errorf("claimed %+v", got)
	}
}

// The scan expects to find none of its fires there; where one is it must do what
// PlanJobs does, for the whole batch.
func TestScanMeetsFiresThatAreThere(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	edited, superseded := s.fire(nil)
	s.edit(edited.ID, func(j *firjob.Job) { j.Schedule.Interval = firjob.Duration(2 * time.Second) })
	s.wantState(superseded, firjob.StateSuperseded)
	busy, running := s.fire(nil)
	s.mustClaim(running)
	fresh := s.job(nil)
	s.exec(`UPDATE jobs SET next_fire_at = now() WHERE id IN ($1, $2, $3)`, int64(edited.ID), int64(busy.ID), int64(fresh.ID))
	at := map[firjob.JobID]time.Time{
		edited.ID: superseded.ScheduledAt(), busy.ID: running.ScheduledAt(), fresh.ID: s.now(),
	}
	planned, taken, err := s.PlanDue(t.Context(), time.Minute, 10, func(clock time.Time, j firjob.Job, _ time.Time) (ports.Plan, error) {
		return ports.Plan{Fires: []time.Time{at[j.ID]}, Next: clock.Add(time.Hour)}, nil
	})
	if err != nil || taken != 3 {
		t.Fatalf("taken: got %d, %v; want 3", taken, err)
	}
	wantIDs(t, "planned", idsOf(planned), superseded, firjob.Fire(fresh.ID, at[fresh.ID]))
	s.wantState(superseded, firjob.StatePlanned)
	s.wantState(running, firjob.StateRunning)
}

func TestMissedRangeIsOneRecord(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job := s.job(nil)
	from := s.now().AddDate(0, 0, -200) // a day that has no partition
	until := from.Add(time.Hour)
	_, err := s.PlanJobs(t.Context(), []firjob.JobID{job.ID}, time.Hour, func(now time.Time, _ firjob.Job, _ time.Time) (ports.Plan, error) {
		return ports.Plan{Missed: &ports.Missed{From: from, Until: until, Count: 3601, Reason: "the cluster was down"}, Next: now}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	e := s.wantState(firjob.Fire(job.ID, from), firjob.StateMissed)
	if e.Missed == nil || e.Missed.Count != 3601 || !e.Missed.Until.Equal(until) || e.Reason != "the cluster was down" || e.FinishedAt == nil {
		t.Errorf("recorded %+v", e)
	}
}

func TestBrokenJobIsPaused(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job, id := s.fire(nil)
	s.exec(`UPDATE jobs SET next_fire_at = now()`)
	whole := s.job(nil)
	planned, taken, err := s.PlanDue(t.Context(), time.Minute, 10, func(now time.Time, j firjob.Job, _ time.Time) (ports.Plan, error) {
		if j.ID == job.ID {
			return ports.Plan{}, errors.New("no such zone: Mars/Olympus\x00")
		}
		return ports.Plan{Fires: []time.Time{now}}, nil
	})
	if err != nil || taken != 2 || len(planned) != 1 || planned[0].ID.Job() != whole.ID {
		t.Fatalf("got %v, %d taken, %v", planned, taken, err)
	}
	paused, _, err := s.Job(t.Context(), job.ID)
	if err != nil || paused.Enabled || paused.NextFireAt != nil || paused.PausedReason != "no such zone: Mars/Olympus�" || paused.Version != 2 {
		t.Errorf("got %+v, %v", paused, err)
	}
	s.wantState(id, firjob.StateSuperseded)
}

func TestPlanStopsAtManyFires(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for range 3 {
		s.job(nil)
	}
	now := s.now()
	var at []time.Time
	for i := range 6000 {
		at = append(at, now.Add(time.Duration(i)*time.Millisecond))
	}
	for _, want := range []struct{ fires, taken int }{{12000, 5}, {6000, 1}, {0, 0}} {
		planned, taken, err := s.PlanDue(t.Context(), time.Minute, 5, func(time.Time, firjob.Job, time.Time) (ports.Plan, error) {
			return ports.Plan{Fires: at}, nil
		})
		if err != nil || len(planned) != want.fires || taken != want.taken {
			t.Errorf("got %d fires, %d taken, %v; want %+v", len(planned), taken, err, want)
		}
	}
}

func TestPlanJobsPlansThemAllHoweverManyFires(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	var ids []firjob.JobID
	for range 5 {
		ids = append(ids, s.job(nil).ID)
	}
	slices.Reverse(ids)
	now := s.now()
	var at []time.Time
	for i := range 6000 {
		at = append(at, now.Add(time.Duration(i)*time.Millisecond))
	}
	planned, err := s.PlanJobs(t.Context(), append(ids, ids[0], 9999), time.Minute, func(time.Time, firjob.Job, time.Time) (ports.Plan, error) {
		return ports.Plan{Fires: at}, nil
	})
	if err != nil || len(planned) != 5*len(at) {
		t.Errorf("got %d fires, %v; want %d", len(planned), err, 5*len(at))
	}
}

// Missed fires without number, after a long outage, do not keep a transaction
// until the pool's patience ends: it plans what it has come to, and says that
// there is more.
func TestPlanDueStopsInTime(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	const jobs = 8
	for range jobs {
		s.job(nil)
	}
	total := 0
	for begun := 0; total < jobs; begun++ {
		asked := 0
		_, taken, err := s.PlanDue(t.Context(), time.Minute, jobs, func(now time.Time, _ firjob.Job, _ time.Time) (ports.Plan, error) {
			asked++
			time.Sleep(400 * time.Millisecond) // it counts
			return ports.Plan{Next: now.Add(time.Hour)}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if total += asked; asked == 0 || total < jobs && taken != jobs || begun == 0 && asked == jobs {
			t.Fatalf("call %d planned %d of %d jobs and took %d", begun, asked, jobs, taken)
		}
	}
}
