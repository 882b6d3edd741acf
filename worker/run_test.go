package worker_test

import (
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/worker"
)

func TestOutcomes(t *testing.T) {
	t.Parallel()
	untilDone := func(answer error) worker.Handler {
		return func(ctx context.Context, _ *worker.Task) error {
			<-ctx.Done()
			return answer
		}
	}
	for _, test := range []struct {
		name    string
		handler worker.Handler
		timeout time.Duration
		cancel  bool
		want    firjob.Outcome
		text    string
	}{
		{name: "success", handler: succeed, want: firjob.OutcomeSucceeded},
		{name: "failure", handler: func(context.Context, *worker.Task) error { return errors.New("no paper") }, want: firjob.OutcomeFailed, text: "no paper"},
		{name: "panic", handler: func(context.Context, *worker.Task) error { panic("oh") }, want: firjob.OutcomeFailed, text: "panic: oh"},
		{name: "goexit", handler: func(context.Context, *worker.Task) error { runtime.Goexit(); return nil }, want: firjob.OutcomeFailed, text: "Goexit"},
		{name: "text that no column takes", handler: func(context.Context, *worker.Task) error {
			return errors.New("a\x00b\xff" + strings.Repeat("é", 4000))
		},
			want: firjob.OutcomeFailed, text: "a\uFFFDb\uFFFDé"},
		{name: "error that is nil inside", handler: func(context.Context, *worker.Task) error { return (*hollowError)(nil) },
			want: firjob.OutcomeFailed, text: "nil"},
		{name: "timeout", handler: untilDone(errors.New("gave up")), timeout: 10 * time.Millisecond, want: firjob.OutcomeTimedOut, text: "gave up"},
		{name: "success after the timeout", handler: untilDone(nil), timeout: 10 * time.Millisecond, want: firjob.OutcomeSucceeded},
		{name: "failure before the timeout", handler: func(context.Context, *worker.Task) error { return context.DeadlineExceeded },
			timeout: time.Hour, want: firjob.OutcomeFailed, text: "deadline"},
		{name: "cancel", handler: untilDone(errors.New("stopped")), cancel: true, want: firjob.OutcomeCancelled, text: "stopped"},
		{name: "success after the cancel", handler: untilDone(nil), cancel: true, want: firjob.OutcomeSucceeded},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newFakeServer(t)
			entered := make(chan struct{}, 1)
			w := start(t, s, worker.Options{Concurrency: 1}, map[string]worker.Handler{
				"it": func(ctx context.Context, task *worker.Task) error {
					entered <- struct{}{}
					return test.handler(ctx, task)
				},
			})
			tr := newTrigger(1, "it")
			tr.Timeout = firjob.Duration(test.timeout)
			before := time.Now()
			send(t, s, w, tr)
			await(t, entered, "the handler")
			if test.cancel {
				refs := []firjob.AttemptRef{{ID: tr.ID, Token: tr.Token}, {ID: firjob.Fire(9, before), Token: 1}}
				if status := post(t, s, w, firjob.PathCancel, firjob.CancelBatch{Attempts: refs}, nil); status != 204 {
					t.Fatalf("cancel was answered %d", status)
				}
			}
			r := await(t, s.results, "the result")
			if r.Outcome != test.want || !strings.Contains(r.Error, test.text) || (test.text == "") != (r.Error == "") {
				t.Errorf("outcome %s, error %.200q; want %s, %q", r.Outcome, r.Error, test.want, test.text)
			}
			if len(r.Error) > 4<<10 {
				t.Errorf("an error text of %d bytes", len(r.Error))
			}
			if r.StartedAt.Before(before) || r.FinishedAt.Before(r.StartedAt) || r.FinishedAt.After(time.Now().Add(time.Second)) {
				t.Errorf("started %v, finished %v; triggered at %v", r.StartedAt, r.FinishedAt, before)
			}

			// Whatever the handler did, its place in the pool is free again.
			send(t, s, w, withToken(newTrigger(2, "it"), 1))
			await(t, entered, "another handler")
			cancelAll := firjob.CancelBatch{Attempts: []firjob.AttemptRef{{ID: newTrigger(2, "").ID, Token: 1}}}
			post(t, s, w, firjob.PathCancel, cancelAll, nil)
		})
	}
}

// hollowError has a text unless it is nil.
type hollowError struct{ text string }

func (e *hollowError) Error() string { return e.text }

func TestWaitingAttemptIsCancelledUnrun(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	g := newGate()
	w := start(t, s, worker.Options{Concurrency: 1}, map[string]worker.Handler{"gate": g.run})
	first, second := newTrigger(1, "gate"), newTrigger(2, "gate")
	send(t, s, w, first, second)
	await(t, g.entered, "the first handler")
	post(t, s, w, firjob.PathCancel, firjob.CancelBatch{Attempts: []firjob.AttemptRef{{ID: second.ID, Token: second.Token}}}, nil)
	close(g.open)
	r := awaitMatch(t, s.results, "the second result", func(r firjob.Result) bool { return r.ID == second.ID })
	if r.Outcome != firjob.OutcomeCancelled || r.StartedAt.IsZero() {
		t.Errorf("reported %+v", r)
	}
	if len(g.entered) > 0 {
		t.Error("it ran all the same")
	}
}

func TestTaskTellsEverything(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	type params struct {
		Region string `json:"region"`
	}
	tasks := make(chan *worker.Task, 1)
	w := start(t, s, worker.Options{}, map[string]worker.Handler{
		"report": func(_ context.Context, task *worker.Task) error {
			tasks <- task
			var p params
			if err := task.Params(&p); err != nil {
				return err
			}
			return task.SetResult(map[string]string{"for": p.Region + "<&>"})
		},
	})
	tr := newTrigger(1, "report")
	tr.Kind, tr.Attempt, tr.Params = firjob.KindManual, 3, json.RawMessage(`{"region":"eu","more":1}`)
	send(t, s, w, tr)
	task := await(t, tasks, "the task")
	if task.ID != tr.ID || task.JobID != 7 || task.Job != "nightly" || task.Handler != "report" || task.Kind != firjob.KindManual ||
		!task.ScheduledAt.Equal(tr.ScheduledAt) || task.Attempt != 3 || task.Token != 100 ||
		task.IdempotencyKey() != tr.ID.String() || string(task.RawParams()) != string(tr.Params) {
		t.Errorf("the task differs from its trigger: %+v", task)
	}
	r := await(t, s.results, "the result")
	var got map[string]string
	if err := json.Unmarshal(r.Result, &got); err != nil || got["for"] != "eu<&>" {
		t.Errorf("result %s (%v)", r.Result, err)
	}
}

func TestTaskKnowsItsShard(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	w := start(t, s, worker.Options{}, map[string]worker.Handler{
		"shard": func(_ context.Context, task *worker.Task) error { return task.SetResult(task.Shard) },
	})
	for n, test := range []struct {
		shard *firjob.ShardOf
		want  string
	}{
		{nil, `{"index":0,"total":1}`}, // the whole
		{&firjob.ShardOf{Index: 2, Total: 3}, `{"index":2,"total":3}`},
	} {
		tr := newTrigger(n, "shard")
		tr.Shard = test.shard
		send(t, s, w, tr)
		if r := await(t, s.results, "the result"); string(r.Result) != test.want {
			t.Errorf("of shard %+v the handler sees %s, want %s", test.shard, r.Result, test.want)
		}
	}
}

func TestTaskKnowsHowItsParentsEnded(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	seen := make(chan []firjob.ParentEnd, 1)
	w := start(t, s, worker.Options{}, map[string]worker.Handler{
		"child": func(_ context.Context, task *worker.Task) error {
			parents, err := task.Parents()
			seen <- parents
			return err
		},
	})
	ends := []firjob.ParentEnd{
		{Job: 3, Name: "extract", ExecutionID: firjob.Fire(3, time.UnixMilli(1)), State: firjob.StateSucceeded, Result: json.RawMessage(`{"rows":3}`)},
		{Job: 4, Name: "check", ExecutionID: firjob.Fire(4, time.UnixMilli(1)), State: firjob.StateFailed},
	}
	inputs, err := json.Marshal(ends)
	if err != nil {
		t.Fatal(err)
	}
	for n, test := range []struct {
		inputs json.RawMessage
		want   []firjob.ParentEnd
		text   string
	}{
		{inputs, ends, ""},
		{nil, nil, ""},
		{json.RawMessage(`{}`), nil, `read how the parents of job "nightly" ended`},
	} {
		tr := newTrigger(n, "child")
		tr.Inputs = test.inputs
		send(t, s, w, tr)
		if diff := cmp.Diff(test.want, await(t, seen, "the handler")); diff != "" {
			t.Errorf("parents (-want +got):\n%s", diff)
		}
		if r := await(t, s.results, "the result"); !strings.Contains(r.Error, test.text) || (test.text == "") != (r.Error == "") {
			t.Errorf("inputs %s: error %q, want %q", test.inputs, r.Error, test.text)
		}
	}
}

func TestParamsAndResultsThatDoNotFit(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	w := start(t, s, worker.Options{}, map[string]worker.Handler{
		"params": func(_ context.Context, task *worker.Task) error {
			var p struct{ Count int }
			return task.Params(&p)
		},
		"huge": func(_ context.Context, task *worker.Task) error {
			if err := task.SetResult("small"); err != nil {
				return err
			}
			return task.SetResult(strings.Repeat("x", firjob.MaxResult))
		},
		"latin": func(_ context.Context, task *worker.Task) error {
			return task.SetResult(json.RawMessage("\"caf\xe9\""))
		},
		"half": func(_ context.Context, task *worker.Task) error { return task.SetResult(json.RawMessage(`{"a":`)) },
		"deep": func(_ context.Context, task *worker.Task) error {
			return task.SetResult(json.RawMessage(strings.Repeat("[", 200) + strings.Repeat("]", 200)))
		},
		"chan": func(_ context.Context, task *worker.Task) error { return task.SetResult(make(chan int)) },
	})
	for n, test := range []struct{ handler, params, text, result string }{
		{"params", `{"Count":"many"}`, `read the params of job "nightly"`, ""},
		{"params", "", "", ""},
		{"huge", "", "at most 1048576 bytes", `"small"`},
		{"latin", "", "must be UTF-8", ""},
		{"deep", "", "levels deep", ""},
		{"half", "", "write the result", ""},
		{"chan", "", "write the result", ""},
	} {
		tr := newTrigger(n, test.handler)
		tr.Params = json.RawMessage(test.params)
		send(t, s, w, tr)
		r := await(t, s.results, "the result")
		if !strings.Contains(r.Error, test.text) || (test.text == "") != (r.Error == "") || string(r.Result) != test.result {
			t.Errorf("%s with %s: error %q, result %.40s", test.handler, test.params, r.Error, r.Result)
		}
	}
}
