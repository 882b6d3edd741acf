package worker_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/worker"
)

// A handler's error may say what it thinks of further attempts.
func TestFailuresTellWhetherToTryAgain(t *testing.T) {
	t.Parallel()
	type told struct {
		Outcome   firjob.Outcome
		Permanent bool
		After     firjob.Duration
		Error     string
	}
	bad := errors.New("no such account")
	for _, test := range []struct {
		name string
		err  error
		want told
	}{
		{"plain", bad, told{Outcome: firjob.OutcomeFailed, Error: "no such account"}},
		{"permanent", worker.Permanent(bad), told{Outcome: firjob.OutcomeFailed, Permanent: true, Error: "no such account"}},
		{"permanent inside", fmt.Errorf("pay: %w", worker.Permanent(bad)), told{Outcome: firjob.OutcomeFailed, Permanent: true, Error: "pay: no such account"}},
		{"later", worker.RetryAfter(90 * time.Second), told{Outcome: firjob.OutcomeFailed, After: firjob.Duration(90 * time.Second), Error: "try again after 1m30s"}},
		{"later, wrapped", fmt.Errorf("closed: %w", worker.RetryAfter(time.Hour)), told{Outcome: firjob.OutcomeFailed, After: firjob.Duration(time.Hour), Error: "closed: try again after 1h"}},
		{"later, joined", errors.Join(bad, worker.RetryAfter(time.Hour)), told{Outcome: firjob.OutcomeFailed, After: firjob.Duration(time.Hour), Error: "no such account\ntry again after 1h"}},
		{"rounded up", worker.RetryAfter(1), told{Outcome: firjob.OutcomeFailed, After: firjob.Duration(time.Millisecond), Error: "try again after 1ms"}},
		{"rounded up beyond a second", worker.RetryAfter(time.Second + 1), told{Outcome: firjob.OutcomeFailed, After: firjob.Duration(1001 * time.Millisecond), Error: "try again after 1.001s"}},
		{"in the past", worker.RetryAfter(-time.Hour), told{Outcome: firjob.OutcomeFailed, After: firjob.Duration(time.Millisecond), Error: "try again after 1ms"}},
		{"never ending", worker.RetryAfter(1 << 62), told{Outcome: firjob.OutcomeFailed, After: firjob.Duration(720 * time.Hour), Error: "try again after 720h"}},
		{"both", errors.Join(worker.RetryAfter(time.Hour), worker.Permanent(bad)), told{Outcome: firjob.OutcomeFailed, Permanent: true, Error: "try again after 1h\nno such account"}},
		{"success", worker.Permanent(nil), told{Outcome: firjob.OutcomeSucceeded}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newFakeServer(t)
			w := start(t, s, worker.Options{}, map[string]worker.Handler{
				"it": func(context.Context, *worker.Task) error { return test.err },
			})
			send(t, s, w, newTrigger(1, "it"))
			r := await(t, s.results, "the result")
			if diff := cmp.Diff(test.want, told{r.Outcome, r.Permanent, r.RetryAfter, r.Error}); diff != "" {
				t.Errorf("reported (-want +got):\n%s", diff)
			}
		})
	}
}

// What is no failure is not marked as one.
func TestOnlyFailuresTellWhetherToTryAgain(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	entered := make(chan struct{}, 1)
	w := start(t, s, worker.Options{}, map[string]worker.Handler{
		"it": func(ctx context.Context, task *worker.Task) error {
			entered <- struct{}{}
			<-ctx.Done()
			return errors.Join(worker.Permanent(ctx.Err()), worker.RetryAfter(time.Hour))
		},
	})
	slow, cancelled := newTrigger(1, "it"), newTrigger(2, "it")
	slow.Timeout = firjob.Duration(time.Millisecond)
	for _, tr := range []firjob.Trigger{slow, cancelled} {
		send(t, s, w, tr)
		await(t, entered, "the handler")
		if tr.Timeout == 0 {
			post(t, s, w, firjob.PathCancel, firjob.CancelBatch{Attempts: []firjob.AttemptRef{{ID: tr.ID, Token: tr.Token}}}, nil)
		}
		if r := await(t, s.results, "the result"); r.Outcome == firjob.OutcomeFailed || r.Permanent || r.RetryAfter != 0 {
			t.Errorf("reported %+v", r)
		}
	}
}

func TestMarkedErrorsAreStillThemselves(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("read: %w", worker.Permanent(fmt.Errorf("page 3: %w", io.ErrUnexpectedEOF)))
	if !errors.Is(err, io.ErrUnexpectedEOF) || err.Error() != "read: page 3: unexpected EOF" {
		t.Errorf("%v does not unwrap to what was marked", err)
	}
	var deep *brokenError
	if !errors.As(worker.Permanent(&brokenError{}), &deep) {
		t.Error("errors.As does not see through the mark")
	}
	if worker.Permanent(nil) != nil {
		t.Error("no error became one")
	}
}

// brokenError panics when somebody looks into it.
type brokenError struct{}

func (*brokenError) Error() string { return "broken" }
func (*brokenError) Unwrap() error { panic("no inside") }

func TestErrorThatPanicsIsAFailure(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	w := start(t, s, worker.Options{}, map[string]worker.Handler{
		"it": func(context.Context, *worker.Task) error { return &brokenError{} },
		"final": func(context.Context, *worker.Task) error {
			return errors.Join(worker.Permanent(io.EOF), &brokenError{})
		},
	})
	send(t, s, w, newTrigger(1, "it"))
	if r := await(t, s.results, "the result"); r.Outcome != firjob.OutcomeFailed || !strings.Contains(r.Error, "no inside") {
		t.Errorf("reported %+v", r)
	}
	send(t, s, w, newTrigger(2, "final")) // nobody needs to look beyond the mark
	if r := await(t, s.results, "the result"); r.Outcome != firjob.OutcomeFailed || !r.Permanent || r.Error != "EOF\nbroken" {
		t.Errorf("reported %+v", r)
	}
}
