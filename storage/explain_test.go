package storage_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// rfc is an instant as explanations show it.
func rfc(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.999Z07:00") }

// explained asks about every fire within a second.
func (s *store) explained(job firjob.JobID, at time.Time) ports.Explanation {
	s.t.Helper()
	x, err := s.Explain(s.t.Context(), ports.ExplainRequest{Job: job, At: at.Truncate(time.Second), Precision: time.Second,
		Horizon: time.Minute, Retention: month})
	if err != nil {
		s.t.Fatal(err)
	}
	return x
}

// wantSays checks the verdict, and that a step of the rule has the text.
func (s *store) wantSays(x ports.Explanation, verdict, rule, text string) {
	s.t.Helper()
	if !strings.Contains(x.Verdict, verdict) {
		s.t.Errorf("the verdict is %q, want %q in it", x.Verdict, verdict)
	}
	for _, step := range x.Steps {
		if step.Rule == rule && strings.Contains(step.Text, text) {
			return
		}
	}
	if rule != "" {
		s.t.Errorf("the steps are %+v, want %s: %q", x.Steps, rule, text)
	}
}

// since moves the birth of a job back, as if it had been there for days.
func (s *store) since(job firjob.JobID, ago time.Duration) {
	s.t.Helper()
	s.exec(`UPDATE jobs SET created_at = now() - $2::interval, updated_at = now() - $2::interval WHERE id = $1`, int32(job), ago)
}

// pastHour makes an hourly job that is ten days old, and names a fire of two hours ago.
func (s *store) pastHour() (firjob.Job, time.Time) {
	s.t.Helper()
	job := s.hourly()
	s.since(job.ID, 240*time.Hour)
	return job, s.now().Truncate(time.Hour).Add(-2 * time.Hour)
}

func TestExplainNoFire(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job, hour := s.pastHour()
	x := s.explained(job.ID, hour.Add(10*time.Minute))
	s.wantSays(x, "It is no fire: it is not an instant of the schedule.", "schedule", "the schedule: ")
	if x.Execution != nil || x.Before == nil || !x.Before.Equal(hour) || x.After == nil || !x.After.Equal(hour.Add(time.Hour)) {
		t.Errorf("got %+v, want the fires around %v", x, hour)
	}
}

// An "every" counts from the instant at which its job was made, which is no fire.
func TestExplainTheAnchor(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job := s.job(nil)
	made := job.CreatedAt.Truncate(time.Millisecond)
	s.wantSays(s.explained(job.ID, made), "It is no fire: it is not an instant of the schedule.", "schedule", "the schedule: ")
}

func TestExplainCalendar(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	hour := s.now().Truncate(time.Hour).Add(-2 * time.Hour)
	s.exec(`INSERT INTO calendars (name, version) VALUES ('holidays', 3)`)
	s.exec(fmt.Sprintf(`INSERT INTO calendar_versions (name, version, definition) VALUES
		('holidays', 3, '{"name": "holidays", "mode": "exclude", "dates": [{"from": "%s"}]}')`, hour.Format(time.DateOnly)))
	job := s.job(func(j *firjob.Job) {
		j.Schedule = firjob.Schedule{Kind: firjob.ScheduleCron, Expr: "0 * * * *", Timezone: "UTC", Calendars: []string{"holidays"}}
	})
	s.since(job.ID, 240*time.Hour)
	x := s.explained(job.ID, hour)
	s.wantSays(x, "It is no fire: ", "schedule", "holidays")
	if !strings.Contains(x.Verdict, "holidays") || !strings.Contains(x.Verdict, "version 3") {
		t.Errorf("the verdict is %q, want it to name the calendar and its version", x.Verdict)
	}
}

func TestExplainWindow(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	hour := s.now().Truncate(time.Hour)
	job := s.job(func(j *firjob.Job) {
		j.Schedule = firjob.Schedule{Kind: firjob.ScheduleCron, Expr: "0 * * * *", Timezone: "UTC", StartAt: &hour}
	})
	s.since(job.ID, 240*time.Hour)
	s.wantSays(s.explained(job.ID, hour.Add(-time.Hour)), "It is no fire: it lies before start_at", "", "")
}

func TestExplainGapOfTheClocks(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job := s.job(func(j *firjob.Job) {
		j.Schedule = firjob.Schedule{Kind: firjob.ScheduleCron, Expr: "30 2 * * *", Timezone: "Europe/Berlin", Gap: "skip"}
	})
	// 02:30 of the last Sunday of March does not exist there.
	gap := time.Date(2099, 3, 29, 1, 30, 0, 0, time.UTC)
	s.wantSays(s.explained(job.ID, gap), "It is no fire: on 2099-03-29 the clocks of Europe/Berlin skip", "", "")
}

func TestExplainSuccess(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job, id := s.fire(func(j *firjob.Job) { j.Retry.MaxAttempts, j.Retry.Backoff = 2, 0 })
	s.failed(s.mustClaim(id), func(*firjob.Result) {})
	s.wantReceipt(s.mustClaim(id), firjob.OutcomeSucceeded, firjob.ReceiptRecorded)
	x := s.explained(job.ID, id.ScheduledAt())
	s.wantSays(x, "It ran and succeeded, at attempt 2, on executor 10.0.0.7:9999, ", "planned", "version 1 of the job planned it")
	s.wantSays(x, " after its time.", "attempt", ": no paper")
	s.wantSays(x, "", "claimed", "server r1 claimed it for attempt 2")
	s.wantSays(x, "", "routed", "attempt 2 went to executor 10.0.0.7:9999, by route round_robin")
	s.wantSays(x, "", "attempt", "succeeded after")
	if x.Execution == nil || x.Execution.ID != id {
		t.Errorf("the record is %+v, want %v", x.Execution, id)
	}
}

func TestExplainFailures(t *testing.T) {
	t.Parallel()
	for outcome, want := range map[firjob.Outcome]string{
		firjob.OutcomeFailed:    "It ran and failed, at its only attempt: no paper.",
		firjob.OutcomeCancelled: "It was cancelled",
		firjob.OutcomeTimedOut:  "It ran and timed out, at its only attempt",
	} {
		s := newStore(t)
		job, id := s.fire(nil)
		s.wantReceipt(s.mustClaim(id), outcome, firjob.ReceiptRecorded)
		s.wantSays(s.explained(job.ID, id.ScheduledAt()), want, "attempt", "attempt 1")
	}
}

func TestExplainLost(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job, id := s.fire(func(j *firjob.Job) { j.Delivery = firjob.AtMostOnce })
	if _, err := s.Lose(t.Context(), []firjob.AttemptRef{s.mustClaim(id)}, "executor 10.0.0.7:9999 is gone"); err != nil {
		t.Fatal(err)
	}
	s.wantSays(s.explained(job.ID, id.ScheduledAt()),
		"It was sent, and nobody answered, at its only attempt: executor 10.0.0.7:9999 is gone; not sent again: the job asks for at_most_once.",
		"attempt", "was lost: nobody answered")
}

func TestExplainRunning(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job, id := s.fire(nil)
	attempt := s.mustClaim(id)
	s.wantSays(s.explained(job.ID, id.ScheduledAt()), "Server r1 has claimed it; no executor has named it yet.", "claimed", "attempt 1")
	if err := s.Doubt(t.Context(), []firjob.AttemptRef{attempt}, "executor 10.0.0.7:9999 answered with status 500"); err != nil {
		t.Fatal(err)
	}
	s.wantSays(s.explained(job.ID, id.ScheduledAt()), "Server r1 has claimed it; no executor has named it yet. "+
		"The latest that is known: executor 10.0.0.7:9999 answered with status 500; "+
		"whether it runs there is unknown, so the same process is asked again.", "claimed", "attempt 1")
	if _, err := s.Hold(t.Context(), []ports.Held{{Executor: executor, Attempt: attempt}}, time.Minute); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.CancelExecution(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	s.wantSays(s.explained(job.ID, id.ScheduledAt()), "It runs, attempt 1, on executor 10.0.0.7:9999. Somebody asked to cancel it.", "routed", "10.0.0.7:9999")
}

func TestExplainWaits(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job := s.job(func(j *firjob.Job) {
		j.Overlap, j.Retry.MaxAttempts, j.Retry.Backoff = firjob.OverlapQueue, 3, firjob.Duration(time.Hour)
	})
	now := s.now()
	ids := s.plan(job, now.Add(-3*time.Second), now.Add(-2*time.Second), now.Add(-time.Second), now.Add(time.Minute))
	s.wantSays(s.explained(job.ID, ids[3].ScheduledAt()), "It is planned and will be sent at "+rfc(ids[3].ScheduledAt()), "due", "")
	s.wantSays(s.explained(job.ID, ids[0].ScheduledAt()), "no server has claimed it yet", "claim", "it waits to be claimed")

	holder := s.mustClaim(ids[0])
	s.claim(ids[1], ids[2])
	s.wantSays(s.explained(job.ID, ids[2].ScheduledAt()), "It waits for its turn among the executions of its job: overlap rule queue, 1 comes before it.",
		"overlap", ids[0].String())
	s.failed(holder, func(*firjob.Result) {})
	s.wantSays(s.explained(job.ID, ids[0].ScheduledAt()), "It waits for its next attempt, at ", "retry", "attempt 1 failed; no paper")
}

func TestExplainWaitForAnExecutor(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job, id := s.fire(nil)
	if _, err := s.Release(t.Context(), []firjob.AttemptRef{s.mustClaim(id)}, time.Minute, "no executor of app billing is alive"); err != nil {
		t.Fatal(err)
	}
	s.wantSays(s.explained(job.ID, id.ScheduledAt()), "has no executor yet: no executor of app billing is alive.", "executor", "it is tried again at")
}

func TestExplainAppLimit(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.exec(`UPDATE apps SET max_running = 1`)
	_, first := s.fire(nil)
	job, second := s.fire(nil)
	s.claim(first, second)
	s.wantState(first, firjob.StateRunning)
	s.wantSays(s.explained(job.ID, second.ScheduledAt()),
		"It waits for a place among the executions of app billing, which has a limit: it is the next.", "app_limit", "billing")
}

func TestExplainBroadcast(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job, id := s.fire(nil)
	s.mustClaim(id)
	for i, state := range []firjob.State{firjob.StateSucceeded, firjob.StateFailed, firjob.StateRunning} {
		s.exec(`INSERT INTO executions (id, job_id, job_version, due_at, parent, root, shard_total, state, reason, executor, finished_at)
			VALUES ($1, $2, 0, now(), $3, $3, 3, $4::text::execution_state, 'no paper', '10.0.0.9:1', CASE WHEN $4 <> 'running' THEN now() END)`,
			[16]byte(id.Shard(i)), int32(job.ID), [16]byte(id), string(state))
	}
	x := s.explained(job.ID, id.ScheduledAt())
	s.wantSays(x, "It runs, attempt 1, as 3 shards.", "broadcast", "it was spread over 3 executors; of the shards 1 succeeded, 1 did not, 1 have not ended")
	s.wantSays(x, "", "shard", "shard 1, on executor 10.0.0.9:1 ended as failed: no paper")
	for _, step := range x.Steps {
		if step.Rule == "also" {
			t.Errorf("a shard is told of as an execution of its own: %+v", step)
		}
	}
}

func TestExplainOverlap(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job := s.job(func(j *firjob.Job) { j.Overlap = firjob.OverlapSkip })
	now := s.now()
	ids := s.plan(job, now.Add(-2*time.Second), now.Add(-time.Second))
	s.mustClaim(ids[0])
	s.claim(ids[1])
	s.wantSays(s.explained(job.ID, ids[1].ScheduledAt()), "It was not run: ", "overlap", ids[0].String())
}

func TestExplainSuperseded(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job := s.job(nil)
	id := s.plan(job, s.now().Add(30*time.Second))[0]
	_, _, err := s.UpdateJob(t.Context(), job.ID, func(_ time.Time, j *firjob.Job) error {
		j.Enabled, j.PausedReason = false, "upstream is down"
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.wantSays(s.explained(job.ID, id.ScheduledAt()), "It was not run: the job was paused", "superseded", "the job was paused")
}

func TestExplainMissedRange(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job, hour := s.pastHour()
	from := hour.Add(-3 * time.Hour)
	next := s.now().Add(time.Minute)
	_, err := s.PlanJobs(t.Context(), []firjob.JobID{job.ID}, time.Hour, func(time.Time, firjob.Job, time.Time) (ports.Plan, error) {
		return ports.Plan{Missed: &ports.Missed{From: from, Until: hour, Count: 4, Reason: "misfire policy skip runs none"}, Next: next}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("it is one of the 4 fires from %s to %s that one record stands for: misfire policy skip runs none.", rfc(from), rfc(hour))
	for _, at := range []time.Time{from.Add(time.Hour), hour} {
		x := s.explained(job.ID, at)
		s.wantSays(x, want, "misfire", firjob.Fire(job.ID, from).String())
	}
	s.wantSays(s.explained(job.ID, from), "it is the first of 4 fires, the last at "+rfc(hour), "misfire", "it ended as missed")
	s.wantSays(s.explained(job.ID, from.Add(time.Minute)), "It is no fire", "", "")
}

func TestExplainLateAtTheClaim(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job := s.job(func(j *firjob.Job) { j.Misfire.Policy = firjob.MisfireSkip })
	id := s.plan(job, s.now().Add(-time.Hour))[0]
	s.claim(id)
	s.wantSays(s.explained(job.ID, id.ScheduledAt()), "beyond the grace of 5s", "misfire", "it ended as missed")
}

func TestExplainBeforeAndAfterTheJob(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job, hour := s.pastHour()
	x := s.explained(job.ID, hour.Add(-300*time.Hour))
	s.wantSays(x, "The job did not exist: it was made at ", "", "")
	s.exec(`UPDATE jobs SET deleted_at = now(), updated_at = now() - interval '5 hours', enabled = false, next_fire_at = NULL WHERE id = $1`, int32(job.ID))
	s.wantSays(s.explained(job.ID, hour), "The job had been deleted, at ", "", "")
	s.wantSays(s.explained(job.ID, hour.Add(100*time.Hour)), "The job had been deleted, at ", "", "")
	_, err := s.Explain(t.Context(), ports.ExplainRequest{Job: 4711, At: hour, Precision: time.Second})
	wantCode(t, err, firjob.CodeNotFound)
}

func TestExplainRetention(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job, hour := s.pastHour()
	s.wantSays(s.explained(job.ID, hour.Add(-2*month)), "Records of that day are gone: they are kept for 720h,", "", "")
}

func TestExplainPaused(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job, hour := s.pastHour()
	s.exec(`UPDATE jobs SET enabled = false, paused_reason = 'upstream is down', next_fire_at = NULL, version = 2 WHERE id = $1`, int32(job.ID))
	s.wantSays(s.explained(job.ID, hour), "It was not run: the job was paused; it is paused (upstream is down) since ", "", "")
	s.wantSays(s.explained(job.ID, hour.Add(24*time.Hour)), "It will not run unless the job is resumed: it is paused (upstream is down).", "", "")
	// Since then it was resumed.
	s.exec(`UPDATE jobs SET enabled = true, paused_reason = '', updated_at = now(), version = 3, next_fire_at = now() + interval '1 hour' WHERE id = $1`, int32(job.ID))
	s.wantSays(s.explained(job.ID, hour), "the job was paused then, or had another schedule", "changed", "to version 3")
}

func TestExplainWhatIsToCome(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job, hour := s.pastHour()
	coming := hour.Add(48 * time.Hour)
	s.wantSays(s.explained(job.ID, coming), fmt.Sprintf("It will run: it is to be recorded at about %s, 1m ahead of its time.", rfc(coming.Add(-time.Minute))), "schedule", "it is a fire of the schedule")
	soon := s.job(nil) // every second
	s.since(soon.ID, time.Hour)
	s.wantSays(s.explained(soon.ID, s.now().Add(10*time.Second)), "It will run: the next scan records it.", "", "")
}

func TestExplainNotPlannedYet(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job, hour := s.pastHour()
	s.exec(`UPDATE jobs SET next_fire_at = $2 WHERE id = $1`, int32(job.ID), hour.Add(-time.Hour))
	s.wantSays(s.explained(job.ID, hour), "It has not been recorded yet: no server has planned the job since "+rfc(hour.Add(-time.Hour))+". The first that does applies misfire policy fire_once.", "", "")
}

func TestExplainJobsWithoutFires(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	manual := s.job(func(j *firjob.Job) { j.Schedule = firjob.Schedule{Kind: firjob.ScheduleManual} })
	e, _, err := s.Trigger(t.Context(), ports.TriggerRequest{Job: manual.ID, Horizon: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	s.wantSays(s.explained(manual.ID, e.ScheduledAt), "no server has claimed it yet", "planned", "somebody triggered it")
	x := s.explained(manual.ID, e.ScheduledAt.Add(time.Hour))
	s.wantSays(x, "The job has no schedule: it runs only when it is triggered", "", "")
	if x.Before == nil || !x.Before.Equal(e.ScheduledAt) || x.After != nil {
		t.Errorf("around it: %v and %v, want %v and none", x.Before, x.After, e.ScheduledAt)
	}
	delay := s.job(func(j *firjob.Job) {
		j.Schedule = firjob.Schedule{Kind: firjob.ScheduleDelay, Interval: firjob.Duration(time.Minute)}
	})
	s.wantSays(s.explained(delay.ID, s.now().Add(time.Hour)), "It is no fire: the job is due 1m after its last execution ended", "schedule", "its next fire is at")
}

func TestExplainOneExecution(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job, dead := s.dead(nil)
	done, err := s.Redrive(t.Context(), ports.DeadLetterBatch{IDs: []firjob.ExecutionID{dead}})
	if err != nil {
		t.Fatal(err)
	}
	_, ids := s.backfill(s.lastHours(s.hourly(), 1))
	later, _, err := s.Trigger(t.Context(), ports.TriggerRequest{Job: job.ID, At: s.now().Add(time.Hour), Horizon: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	for id, c := range map[firjob.ExecutionID][2]string{
		dead:                  {"It ran and failed", "version 1 of the job planned it"},
		done[0].RedrivenAs.ID: {"It is due since", "it runs execution " + dead.String() + " again"},
		ids[0]:                {"no server has claimed it yet", "backfill 1 runs this fire again"},
		later.ID:              {"It is planned and will be sent at " + rfc(later.ScheduledAt), "somebody triggered it"},
	} {
		x, err := s.ExplainExecution(t.Context(), id, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		s.wantSays(x, c[0], "planned", c[1])
		if x.Execution == nil || x.Execution.ID != id {
			t.Errorf("the record is %+v, want %v", x.Execution, id)
		}
	}
	_, err = s.ExplainExecution(t.Context(), firjob.Fire(job.ID, s.now()), time.Minute)
	wantCode(t, err, firjob.CodeNotFound)
}

// An execution that somebody asked for within the same second is told of, too;
// the fire comes first.
func TestExplainTellsOfBoth(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job, id := s.fire(nil)
	manual, _, err := s.Trigger(t.Context(), ports.TriggerRequest{Job: job.ID, At: id.ScheduledAt(), Horizon: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	x := s.explained(job.ID, id.ScheduledAt())
	s.wantSays(x, "It is due since", "also", fmt.Sprintf("execution %s of the same moment (manual) is planned", manual.ID))
	if x.Execution.ID != id {
		t.Errorf("the record is %v, want the fire %v", x.Execution.ID, id)
	}
}
