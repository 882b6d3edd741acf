package bench

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/firjob/firjob"
)

// Options are common to all benchmarks.
type Options struct {
	Binary      string            // the firjob program; this very one by default
	DatabaseURL string            // a database without tables, or of an earlier benchmark; "": a private Postgres
	RedisURL    string            // "": a private Redis
	Fetch       bool              // Postgres may be fetched if there is none here
	Postgres    map[string]string // settings of a private Postgres
	ServerEnv   []string          // added to every server's environment
	WorkerEnv   []string          // added to every executor's environment

	Servers, Workers      int
	Concurrency, Queue    int // of each executor
	Horizon, ScanInterval time.Duration
	Runs                  int
	Warmup, Duration      time.Duration

	// Progress takes a line for people whenever something begins that takes long.
	Progress func(line string)
	// Output takes each line that a process prints; nil: none is shown. It may be
	// called by several goroutines at once.
	Output func(process, line string)
}

// validate returns every fault, each by the name of its flag.
func (o Options) validate() error {
	var faults []firjob.FieldError
	atLeast := func(name string, value, least int) {
		if value < least {
			faults = append(faults,
				firjob.FieldError{Field: "--" + name, Value: value, Message: fmt.Sprintf("must be %d or more", least)})
		}
	}
	atLeast("servers", o.Servers, 1)
	atLeast("workers", o.Workers, 1)
	atLeast("runs", o.Runs, 1)
	atLeast("concurrency", o.Concurrency, 1)
	atLeast("queue", o.Queue, 0)
	positive := func(name string, d time.Duration, least time.Duration) {
		if d < least {
			faults = append(faults,
				firjob.FieldError{Field: "--" + name, Value: d.String(),
					Message: fmt.Sprintf("must be %v or more", least)})
		}
	}
	positive("duration", o.Duration, 100*time.Millisecond)
	positive("warmup", o.Warmup, 0)
	positive("horizon", o.Horizon, time.Second)
	positive("scan-interval", o.ScanInterval, 10*time.Millisecond)
	if o.RedisURL != "" && o.DatabaseURL == "" {
		faults = append(faults, firjob.FieldError{Field: "--redis-url", Value: "(given)",
			Message: "wants --database-url too: the database notes which Redis goes with it, for the next cluster"})
	}
	for _, name := range slices.Sorted(maps.Keys(o.Postgres)) {
		if slices.Contains([]string{"fsync", "full_page_writes", "synchronous_commit"}, name) {
			faults = append(faults,
				firjob.FieldError{Field: "--postgres", Value: name,
					Message: name + " makes commits durable, which is measured along"})
		}
	}
	return firjob.Invalid(faults)
}

// must turns the faults of a benchmark's own flags into an error.
func must(conditions ...condition) error {
	var faults []firjob.FieldError
	for _, c := range conditions {
		if !c.holds {
			faults = append(faults, firjob.FieldError{Field: "--" + c.flag, Value: c.value, Message: c.want})
		}
	}
	return firjob.Invalid(faults)
}

type condition struct {
	holds bool
	flag  string
	value any
	want  string
}

func (o Options) say(format string, args ...any) {
	if o.Progress != nil {
		o.Progress(fmt.Sprintf(format, args...))
	}
}

// tellEvery is how often something that takes long says how far it has come.
const tellEvery = 5 * time.Second

// wait lets d pass, and tells how far it has come.
func (o Options) wait(ctx context.Context, d time.Duration, what string) error {
	if d > 2*time.Second {
		o.say("%s for %v", what, d.Round(time.Millisecond))
	}
	began := time.Now()
	for {
		left := d - time.Since(began)
		if !passed(ctx, min(left, tellEvery)) {
			return context.Cause(ctx)
		}
		if left <= tellEvery {
			return nil
		}
		o.say("  %v of %v", time.Since(began).Round(time.Second), d.Round(time.Second))
	}
}

// lookEvery is how often a wait looks whether to give up.
const lookEvery = time.Second

// waitUnless lets d pass, or less if it becomes hopeless.
func (o Options) waitUnless(ctx context.Context, d time.Duration,
	hopeless func(context.Context) (bool, error)) (gaveUp bool, err error) {
	told := o.ticker()
	for began := time.Now(); ; {
		left := d - time.Since(began)
		if !passed(ctx, min(left, lookEvery)) {
			return false, context.Cause(ctx)
		}
		if left <= lookEvery {
			return false, nil
		}
		if gaveUp, err = hopeless(ctx); gaveUp || err != nil {
			return gaveUp, err
		}
		told.say("%v of %v", time.Since(began).Round(time.Second), d)
	}
}

// passed lets d pass and reports whether ctx still goes on.
func passed(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// ticker tells now and then how far a loop has come.
type ticker struct {
	o    Options
	last time.Time
}

func (o Options) ticker() *ticker { return &ticker{o, time.Now()} }

func (t *ticker) say(format string, args ...any) {
	if time.Since(t.last) >= tellEvery {
		t.last = time.Now()
		t.o.say("  "+format, args...)
	}
}
