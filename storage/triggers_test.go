package storage_test

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

func (s *store) trigger(t ports.TriggerRequest) (firjob.Execution, bool) {
	s.t.Helper()
	if t.Horizon == 0 {
		t.Horizon = time.Minute
	}
	e, due, err := s.Trigger(s.t.Context(), t)
	if err != nil {
		s.t.Fatal(err)
	}
	return e, due
}

func TestTriggerNow(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job := s.job(func(j *firjob.Job) { j.Enabled = false; j.Params = json.RawMessage(`{"a":1}`) })
	e, due := s.trigger(ports.TriggerRequest{Job: job.ID, Params: json.RawMessage(`{"a":2}`)})
	if !due || e.Kind != firjob.KindManual || e.State != firjob.StatePlanned || string(e.Params) != `{"a":2}` || e.JobVersion != 0 {
		t.Fatalf("got %+v, due %v", e, due)
	}
	got := s.claim(e.ID)
	if len(got.Claimed) != 1 || string(got.Claimed[0].Trigger.Params) != `{"a":2}` {
		t.Errorf("claimed %+v, want it to run though the job is paused", got)
	}
}

func TestTriggerLater(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job := s.job(nil)
	at := s.now().Add(2 * time.Hour)
	e, due := s.trigger(ports.TriggerRequest{Job: job.ID, At: at})
	if due || !e.ScheduledAt.Equal(at) || e.State != firjob.StatePlanned {
		t.Fatalf("got %+v, due %v", e, due)
	}
	if diff := cmp.Diff(e, s.get(e.ID)); diff != "" {
		t.Errorf("read again (-first +second):\n%s", diff)
	}
	if planned, taken, err := s.PlanLater(t.Context(), time.Minute, 10); err != nil || taken != 0 {
		t.Errorf("planned %v, %d, %v before its time", planned, taken, err)
	}
	planned, taken, err := s.PlanLater(t.Context(), 3*time.Hour, 10)
	if err != nil || taken != 1 {
		t.Fatalf("taken %d, %v", taken, err)
	}
	if diff := cmp.Diff([]firjob.Due{{ID: e.ID, At: at}}, planned); diff != "" {
		t.Errorf("planned (-want +got):\n%s", diff)
	}
	s.wantState(e.ID, firjob.StatePlanned)

	e, _ = s.trigger(ports.TriggerRequest{Job: job.ID, At: at})
	cancelled, _, err := s.CancelExecution(t.Context(), e.ID)
	if err != nil || cancelled.State != firjob.StateCancelled || cancelled.FinishedAt == nil {
		t.Errorf("cancelled: got %+v, %v", cancelled, err)
	}
	_, _, err = s.CancelExecution(t.Context(), e.ID)
	wantCode(t, err, firjob.CodeConflict)
	if _, taken, err := s.PlanLater(t.Context(), 3*time.Hour, 10); err != nil || taken != 0 {
		t.Errorf("a cancelled trigger was planned: %d, %v", taken, err)
	}
}

// What a trigger answers is not read back, yet it is what is recorded.
func TestTriggerTellsWhatIsRecorded(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job := s.job(func(j *firjob.Job) { j.Params = json.RawMessage(`{"a": 1}`) })
	bare := s.job(nil)
	beijing := time.FixedZone("", 8*3600)
	read := func(id firjob.ExecutionID) firjob.Execution {
		e := s.get(id)
		e.Shards = nil // an empty list: it was looked for
		return e
	}
	list := []ports.TriggerRequest{
		{Job: job.ID},
		{Job: job.ID, Params: json.RawMessage(`{"a":2}`)},
		{Job: job.ID, Key: "k"},
		{Job: job.ID, Key: "k"},
		{Job: job.ID, Delay: 20 * time.Second},
		{Job: job.ID, At: s.now().Add(time.Hour + 123*time.Microsecond).In(beijing)},
	}
	for i := range list {
		list[i].Horizon = time.Minute
	}
	made, err := s.TriggerMany(t.Context(), job.ID, list)
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range made {
		if diff := cmp.Diff(read(m.Execution.ID), m.Execution); m.Err != nil || diff != "" {
			t.Errorf("item %d: %v; told (-read +told):\n%s", i, m.Err, diff)
		}
		if want := i < 5; m.Due != want {
			t.Errorf("item %d: due is %v, want %v", i, m.Due, want)
		}
	}
	if made[2].Execution.ID != made[3].Execution.ID {
		t.Errorf("one key has two executions: %v and %v", made[2].Execution.ID, made[3].Execution.ID)
	}
	for _, one := range append(list, ports.TriggerRequest{Job: bare.ID}) {
		e, _ := s.trigger(one)
		if diff := cmp.Diff(read(e.ID), e); diff != "" {
			t.Errorf("one trigger (-read +told):\n%s", diff)
		}
	}
}

func TestTriggerInThePast(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	at := s.now().AddDate(0, 0, -300)
	e, due := s.trigger(ports.TriggerRequest{Job: s.job(nil).ID, At: at})
	if !due || !e.ScheduledAt.Equal(at) {
		t.Fatalf("got %+v, due %v", e, due)
	}
	s.mustClaim(e.ID)
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job := s.job(nil)
	request := ports.TriggerRequest{Job: job.ID, Key: "order-7", Params: json.RawMessage(`{"a":1}`)}
	ids := make([]firjob.ExecutionID, 4)
	together(len(ids), func(i int) {
		e, _ := s.trigger(request)
		ids[i] = e.ID
	})
	for _, id := range ids {
		if id != ids[0] {
			t.Errorf("the same key gave %s and %s", ids[0], id)
		}
	}
	other := request
	other.Params = json.RawMessage(`{"a":2}`)
	_, _, err := s.Trigger(t.Context(), other)
	wantCode(t, err, firjob.CodeKeyReused)
	other.Params, other.At = request.Params, s.now()
	_, _, err = s.Trigger(t.Context(), other)
	wantCode(t, err, firjob.CodeKeyReused)
	request.Job = s.job(nil).ID
	if e, _ := s.trigger(request); e.ID == ids[0] {
		t.Error("a key of one job bound another job's trigger")
	}
	s.exec(`UPDATE idempotency_keys SET created_at = now() - interval '25 hours'`)
	if err := s.MaintainPartitions(t.Context(), 1, 24*time.Hour*30); err != nil {
		t.Fatal(err)
	}
	request.Job = job.ID
	if e, _ := s.trigger(request); e.ID == ids[0] {
		t.Error("the key was not forgotten after 24 hours")
	}
	request.Key = "a\x00b"
	_, _, err = s.Trigger(t.Context(), request)
	wantCode(t, err, firjob.CodeInvalid)
}

func TestRetryExecution(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job := s.job(nil)
	e, _ := s.trigger(ports.TriggerRequest{Job: job.ID, Params: json.RawMessage(`{"a":1}`)})
	_, err := s.RetryExecution(t.Context(), e.ID)
	wantCode(t, err, firjob.CodeConflict)
	s.wantReceipt(s.mustClaim(e.ID), firjob.OutcomeFailed, firjob.ReceiptRecorded)
	again, err := s.RetryExecution(t.Context(), e.ID)
	if err != nil || again.RetryOf == nil || *again.RetryOf != e.ID || string(again.Params) != `{"a":1}` || again.Kind != firjob.KindManual {
		t.Fatalf("got %+v, %v", again, err)
	}
	s.mustClaim(again.ID)
	_, err = s.RetryExecution(t.Context(), firjob.Fire(job.ID, s.now()))
	wantCode(t, err, firjob.CodeNotFound)
}

func TestCancelExecution(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, id := s.fire(nil)
	e, _, err := s.CancelExecution(t.Context(), id)
	if err != nil || e.State != firjob.StateCancelled || e.FinishedAt == nil {
		t.Fatalf("planned: got %+v, %v", e, err)
	}
	_, _, err = s.CancelExecution(t.Context(), id)
	wantCode(t, err, firjob.CodeConflict)
	_, id = s.fire(nil)
	a := s.mustClaim(id)
	e, _, err = s.CancelExecution(t.Context(), id)
	if err != nil || e.State != firjob.StateRunning || e.Token != a.Token {
		t.Fatalf("running: got %+v, %v", e, err)
	}
	s.wantReceipt(a, firjob.OutcomeCancelled, firjob.ReceiptRecorded)
	s.wantState(id, firjob.StateCancelled)
	_, _, err = s.CancelExecution(t.Context(), firjob.Fire(1, s.now()))
	wantCode(t, err, firjob.CodeNotFound)
}

// list returns what a filter selects, page by page.
func (s *store) list(f ports.ExecutionFilter, pageSize int) (got []firjob.ExecutionID) {
	s.t.Helper()
	f.PageSize = pageSize
	for {
		page, next, err := s.Executions(s.t.Context(), f)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, e := range page {
			got = append(got, e.ID)
		}
		if next.IsZero() {
			return got
		}
		f.Before = next
	}
}

func TestExecutionsPages(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job, other := s.job(nil), s.job(nil)
	now := s.now()
	var at []time.Time
	for i := range 5 {
		at = append(at, now.Add(time.Duration(i-5)*time.Second))
	}
	ids := s.plan(job, at...)
	running := s.plan(other, now)[0]
	s.mustClaim(running)
	for name, c := range map[string]struct {
		filter ports.ExecutionFilter
		want   []firjob.ExecutionID
	}{
		"all":        {ports.ExecutionFilter{}, []firjob.ExecutionID{running, ids[4], ids[3], ids[2], ids[1], ids[0]}},
		"of a job":   {ports.ExecutionFilter{Job: other.ID}, []firjob.ExecutionID{running}},
		"of the app": {ports.ExecutionFilter{App: app, Until: at[2]}, []firjob.ExecutionID{ids[1], ids[0]}},
		"of another": {ports.ExecutionFilter{App: "another"}, nil},
		"by state":   {ports.ExecutionFilter{States: []firjob.State{firjob.StateRunning, firjob.StateLost}}, []firjob.ExecutionID{running}},
		"by time":    {ports.ExecutionFilter{Since: at[1], Until: at[4]}, []firjob.ExecutionID{ids[3], ids[2], ids[1]}},
	} {
		if diff := cmp.Diff(c.want, s.list(c.filter, 2)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// A trigger for later is listed among the executions, also at the very moment
// at which it becomes one.
func TestExecutionsListTriggersForLater(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job, other := s.job(nil), s.job(nil)
	now := s.now()
	recorded := s.plan(job, now, now.Add(2*time.Hour))
	later := func(job firjob.Job, in time.Duration) firjob.ExecutionID {
		e, _ := s.trigger(ports.TriggerRequest{Job: job.ID, At: now.Add(in)})
		return e.ID
	}
	first, second, cancelled, foreign := later(job, time.Hour), later(job, 3*time.Hour), later(job, 4*time.Hour), later(other, time.Hour)
	if _, _, err := s.CancelExecution(t.Context(), cancelled); err != nil {
		t.Fatal(err)
	}
	s.exec(`INSERT INTO executions (id, job_id, job_version, due_at) SELECT id, job_id, 0, fire_at FROM later_triggers WHERE id = $1`,
		[16]byte(second)) // its row was moved after the list had read it
	states := func(states ...firjob.State) ports.ExecutionFilter {
		return ports.ExecutionFilter{Job: job.ID, States: states}
	}
	for name, c := range map[string]struct {
		filter ports.ExecutionFilter
		want   []firjob.ExecutionID
	}{
		"of the job":       {states(), []firjob.ExecutionID{cancelled, second, recorded[1], first, recorded[0]}},
		"planned":          {states(firjob.StatePlanned), []firjob.ExecutionID{second, recorded[1], first, recorded[0]}},
		"cancelled":        {states(firjob.StateCancelled, firjob.StateLost), []firjob.ExecutionID{cancelled}},
		"failed":           {states(firjob.StateFailed), nil},
		"of the other job": {ports.ExecutionFilter{Job: other.ID, App: app}, []firjob.ExecutionID{foreign}},
		"of another app":   {ports.ExecutionFilter{App: "another"}, nil},
		"by time": {ports.ExecutionFilter{Job: job.ID, Since: now.Add(time.Hour), Until: now.Add(3 * time.Hour)},
			[]firjob.ExecutionID{recorded[1], first}},
	} {
		for size := 1; size <= 6; size++ {
			if diff := cmp.Diff(c.want, s.list(c.filter, size)); diff != "" {
				t.Errorf("%s, %d a page (-want +got):\n%s", name, size, diff)
			}
		}
	}
}

// A trigger that becomes an execution while somebody cancels it is cancelled.
func TestCancelMeetsThePlanningOfATrigger(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	e, _ := s.trigger(ports.TriggerRequest{Job: s.job(nil).ID, At: s.now().Add(2 * time.Hour)})
	planner, err := pgx.Connect(t.Context(), s.url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = planner.Close(context.WithoutCancel(t.Context())) })
	for _, sql := range []string{`BEGIN`,
		`INSERT INTO executions (id, job_id, job_version, due_at) SELECT id, job_id, 0, fire_at FROM later_triggers`,
		`DELETE FROM later_triggers`} {
		if _, err := planner.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	var cancelled error
	var done sync.WaitGroup
	done.Go(func() { _, _, cancelled = s.CancelExecution(t.Context(), e.ID) })
	s.awaitLockWait()
	if _, err := planner.Exec(t.Context(), `COMMIT`); err != nil {
		t.Fatal(err)
	}
	done.Wait()
	if cancelled != nil {
		t.Errorf("cancel: %v", cancelled)
	}
	s.wantState(e.ID, firjob.StateCancelled)
}

func TestStats(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	empty, err := s.Stats(t.Context(), s.now().Add(-time.Hour))
	if err != nil || len(empty.ByState)+len(empty.LatenessMS) != 0 {
		t.Errorf("of nothing: got %+v, %v", empty, err)
	}
	job := s.job(nil)
	now := s.now()
	ids := s.plan(job, now.Add(-3*time.Second), now.Add(-2*time.Second), now.Add(-time.Second), now.Add(time.Minute))
	for i, id := range ids[:3] {
		a := s.mustClaim(id)
		s.exec(`UPDATE executions SET claimed_at = now() - interval '1 minute' WHERE id = $1`, [16]byte(id))
		start := id.ScheduledAt().Add(time.Duration(10*i-10) * time.Millisecond)
		if _, err := s.Finish(t.Context(), []ports.FinishItem{{Executor: executor, Result: firjob.Result{
			ID: id, Token: a.Token, Outcome: firjob.OutcomeSucceeded, StartedAt: start, FinishedAt: start}}}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.Stats(t.Context(), now.Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	want := ports.Stats{
		ByState:    map[firjob.State]int64{firjob.StateSucceeded: 3, firjob.StatePlanned: 1},
		LatenessMS: map[string]float64{"p50": 0, "p99": 10, "max": 10},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("stats (-want +got):\n%s", diff)
	}
}
