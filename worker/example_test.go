package worker_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/worker"
)

// A whole program: it runs executions until it is told to stop, and then lets
// those that run come to their end.
func Example() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	w, err := worker.New(worker.Options{
		Server: "http://127.0.0.1:8080",
		App:    "billing",
		Secret: os.Getenv("BILLING_SECRET"),
	})
	if err != nil {
		log.Print(err)
		return
	}
	w.Handle("report", func(ctx context.Context, t *worker.Task) error {
		t.Log().Info("the nightly report", "of", t.ScheduledAt)
		return nil
	})
	if err := w.Run(ctx); err != nil {
		log.Print(err)
	}
}

// Params are read into a struct of the handler's own.
func ExampleTask_Params() {
	report := func(ctx context.Context, t *worker.Task) error {
		params := struct {
			Region string `json:"region"`
			Limit  int    `json:"limit"`
		}{Limit: 100} // what a job does not say stays as it is
		if err := t.Params(&params); err != nil {
			return err
		}
		fmt.Printf("%s, at most %d\n", params.Region, params.Limit)
		return nil
	}
	serveOne(report, `{"region": "eu"}`)
	// Output: eu, at most 100
}

// A result is for people and programs to read in the execution's record.
func ExampleTask_SetResult() {
	result := serveOne(func(ctx context.Context, t *worker.Task) error {
		return t.SetResult(map[string]int{"rows": 3})
	}, "")
	fmt.Println(result.Outcome, string(result.Result))
	// Output: succeeded {"rows":3}
}

// The key is the same in every attempt of an execution, so a service that knows
// such keys does the work once, however often it is asked.
func ExampleTask_IdempotencyKey() {
	serveOne(func(ctx context.Context, t *worker.Task) error {
		fmt.Println("charge once for", t.IdempotencyKey())
		return nil
	}, "")
	// Output: charge once for 018bcfe5-6801-8000-8000-000000000007
}

// A long handler heeds its context, and can tell why it ended.
func ExampleHandler_cancel() {
	copyRows := func(ctx context.Context, t *worker.Task) error {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C: // copy a few rows
			case <-ctx.Done():
				if errors.Is(context.Cause(ctx), worker.ErrTimeout) {
					return errors.New("too many rows for the timeout")
				}
				return context.Cause(ctx)
			}
		}
	}
	result := serveOne(copyRows, "")
	fmt.Println(result.Outcome, result.Error)
	// Output: timed_out too many rows for the timeout
}

// serveOne plays the server for one execution, with a timeout of 20ms.
func serveOne(h worker.Handler, params string) firjob.Result {
	t := &exampleT{}
	defer t.end()
	s := newFakeServer(t)
	w := start(t, s, worker.Options{}, map[string]worker.Handler{"it": h})
	tr := newTrigger(1, "it")
	tr.Timeout, tr.Params = firjob.Duration(20*time.Millisecond), []byte(params)
	send(t, s, w, tr)
	return await(t, s.results, "the result")
}
