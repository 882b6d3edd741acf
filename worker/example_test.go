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

// Params that make no sense will make none in the next attempt either.
func ExamplePermanent() {
	result := serveOne(func(ctx context.Context, t *worker.Task) error {
		var params struct{ Account int }
		if err := t.Params(&params); err != nil {
			return worker.Permanent(err)
		}
		return nil
	}, `{"account": "all of them"}`)
	fmt.Println(result.Outcome, result.Permanent)
	// Output: failed true
}

// A service that says when to come back is not asked before.
func ExampleRetryAfter() {
	result := serveOne(func(ctx context.Context, t *worker.Task) error {
		err := errors.New("the bank answered 429")
		return errors.Join(err, worker.RetryAfter(90*time.Second))
	}, "")
	fmt.Println(result.Outcome, result.RetryAfter)
	fmt.Println(result.Error)
	// Output:
	// failed 1m30s
	// the bank answered 429
	// try again after 1m30s
}

// The latest word counts, so a handler may speak as often as it likes.
func ExampleTask_Progress() {
	report := reportOne(func(ctx context.Context, t *worker.Task) error {
		files := []string{"a.csv", "b.csv", "c.csv"}
		for i, file := range files {
			t.Progress(100*i/len(files), "reading "+file)
			// read it
		}
		t.Progress(100, "")
		return nil
	}, firjob.Trigger{})
	fmt.Println(report.Progress[len(report.Progress)-1].Percent)
	// Output: 100
}

// What a handler logs is there to read beside its execution.
func ExampleTask_Log() {
	report := reportOne(func(ctx context.Context, t *worker.Task) error {
		t.Log().Info("read the ledger", "rows", 3)
		t.Log().With("account", 17).Warn("does not add up", "err", errors.New("one cent is missing"))
		return nil
	}, firjob.Trigger{})
	for _, line := range report.Logs[0].Lines {
		fmt.Println(line.Level, line.Text, string(line.Attrs))
	}
	// Output:
	// INFO read the ledger {"rows":3}
	// WARN does not add up {"account":17,"err":"one cent is missing"}
}

// Each executor of a broadcast takes its part of the work.
func ExampleTask_shard() {
	var accounts []int
	reportOne(func(ctx context.Context, t *worker.Task) error {
		for account := range 10 { // or: WHERE id % total = index
			if account%t.Shard.Total == t.Shard.Index {
				accounts = append(accounts, account)
			}
		}
		t.Log().Info("done")
		return nil
	}, firjob.Trigger{Shard: &firjob.ShardOf{Index: 1, Total: 3}})
	fmt.Println(accounts)
	// Output: [1 4 7]
}

// A child works on what its parents have left.
func ExampleTask_Parents() {
	reportOne(func(ctx context.Context, t *worker.Task) error {
		parents, err := t.Parents()
		for _, p := range parents {
			fmt.Println(p.Name, p.State, string(p.Result))
		}
		t.Log().Info("done")
		return err
	}, firjob.Trigger{Inputs: []byte(`[{"job_id":3,"job":"extract","state":"succeeded","result":{"rows":3}}]`)})
	// Output: extract succeeded {"rows":3}
}

// reportOne plays the server for one execution, and returns the first report.
func reportOne(h worker.Handler, tr firjob.Trigger) firjob.Report {
	t := &exampleT{}
	defer t.end()
	s := newFakeServer(t)
	w := start(t, s, worker.Options{}, map[string]worker.Handler{"it": h})
	full := newTrigger(1, "it")
	full.Shard, full.Inputs = tr.Shard, tr.Inputs
	send(t, s, w, full)
	return await(t, s.reports, "the report")
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
