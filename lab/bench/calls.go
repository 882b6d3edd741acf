package bench

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/lab/labdb"
)

// API is what callers ask of the HTTP API.
type API struct {
	Callers      int // at a time, of the requests for single things
	BatchCallers int // at a time, of batches
	Batch        int // things in one batch
	Batches      int // of each kind
}

// MeasureAPI measures how many jobs and triggers the API takes, one by one, each of
// the two for the duration, and by batches.
func MeasureAPI(ctx context.Context, o Options, c API) (*Report, error) {
	err := must(
		condition{c.Callers > 0, "callers", c.Callers, "must be 1 or more"},
		condition{c.BatchCallers > 0, "batch-callers", c.BatchCallers, "must be 1 or more"},
		condition{c.Batch > 0 && c.Batch <= maxItems, "batch", c.Batch, fmt.Sprintf("must be 1 to %d", maxItems)},
		condition{c.Batches > 0, "batches", c.Batches, "must be 1 or more"},
	)
	if err != nil {
		return nil, err
	}
	settings := map[string]any{"callers": c.Callers, "batch_callers": c.BatchCallers, "batch": c.Batch,
		"batches": c.Batches}
	return o.repeat(ctx, "api", settings, func(ctx context.Context) (run Run, err error) {
		err = o.onStage(ctx, func(s *stage) error {
			run, err = s.callAPI(ctx, c)
			return err
		})
		return run, err
	})
}

// caller makes requests and counts what was accepted.
type caller struct {
	*stage
	apis     []*client // of the servers themselves: a balancer beside them costs as much as they do
	figures  map[string]float64
	mu       sync.Mutex
	made     []firjob.JobID
	triggers atomic.Int64
}

func (s *stage) callAPI(ctx context.Context, c API) (run Run, err error) {
	k := &caller{stage: s, figures: make(map[string]float64)}
	for _, server := range s.Servers {
		api := newClient("http://"+server.Addr, s.AdminToken)
		api.prefer = "return=minimal"
		defer api.close()
		k.apis = append(k.apis, api)
	}
	m := span{from: time.Now().Truncate(time.Millisecond), before: s.usage()}
	for _, phase := range []struct {
		name           string
		items, callers int
		requests       int // 0: for the duration
		do             request
	}{
		{"create_job", 1, c.Callers, 0, k.createOne},
		{"trigger", 1, c.Callers, 0, k.triggerOne},
		{"create_batch", c.Batch, c.BatchCallers, c.Batches,
			func(ctx context.Context, api *client, i int64) error { return k.createSome(ctx, api, i, c.Batch) }},
		{"trigger_batch", c.Batch, c.BatchCallers, c.Batches,
			func(ctx context.Context, api *client, i int64) error { return k.triggerSome(ctx, api, i, c.Batch) }},
	} {
		s.o.say("%s: requests of %d, callers %d", phase.name, phase.items, phase.callers)
		if err := k.phase(ctx, phase.name, phase.items, phase.callers, phase.requests, phase.do); err != nil {
			return run, fmt.Errorf("%s: %w", phase.name, err)
		}
	}
	m.until, m.after = time.Now().Truncate(time.Millisecond), s.usage()
	return k.judge(ctx, m)
}

// judge compares what was accepted with what is recorded.
func (k *caller) judge(ctx context.Context, m span) (run Run, err error) {
	k.o.say("waiting until all that was triggered has ended")
	accepted := k.triggers.Load()
	a, err := k.settled(ctx, labdb.AuditScope{From: m.from.Add(-time.Second), Until: m.until.Add(time.Second),
		Kind: firjob.KindManual}, accepted)
	if err != nil {
		return run, err
	}
	jobs, err := k.db.CountJobs(ctx)
	if err != nil {
		return run, err
	}
	run = runOf(a, accepted, m)
	run.CPUPerExecution, run.Offered = 0, 0 // the making of jobs is in the one; nothing is offered at a rate
	run.Figures = maps.Clone(k.figures)
	run.Lost += max(0, int64(len(k.made))-jobs)
	run.Doubled += max(0, jobs-int64(len(k.made)))
	return run, nil
}

// request makes the i-th request of a phase.
type request func(ctx context.Context, api *client, i int64) error

// phase makes requests by a number of callers, either as many as are asked for or
// for the duration. Each caller keeps to one server.
func (k *caller) phase(ctx context.Context, name string, items, callers, requests int, do request) error {
	before, began := k.usage(), time.Now()
	told := k.o.ticker()
	var next atomic.Int64
	var mu sync.Mutex
	var took []float64 // milliseconds
	group, groupCtx := errgroup.WithContext(ctx)
	for n := range callers {
		api := k.apis[n%len(k.apis)]
		group.Go(func() error {
			for {
				i := next.Add(1) - 1
				if requests > 0 && i >= int64(requests) || requests == 0 && time.Since(began) >= k.o.Duration {
					return nil
				}
				start := time.Now()
				if err := do(groupCtx, api, i); err != nil {
					return err
				}
				ms := float64(time.Since(start)) / float64(time.Millisecond)
				mu.Lock()
				took = append(took, ms)
				told.say("%d requests", len(took))
				mu.Unlock()
			}
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	seconds := time.Since(began).Seconds()
	count := float64(len(took))
	k.figures[name+"_requests_per_second"] = count / seconds
	k.figures[name+"_items_per_second"] = count * float64(items) / seconds
	k.figures[name+"_p50_ms"], k.figures[name+"_p99_ms"] = quantile(took, 0.5), quantile(took, 0.99)
	k.figures[name+"_cpu_us_per_item"] = sum(k.usage().cpuSince(before)) * 1e6 / (count * float64(items))
	return nil
}

// manualJob never fires by itself.
func manualJob(name string) newJob {
	body := job(name, noop, newSchedule{Kind: firjob.ScheduleManual})
	body.Misfire = newMisfire{}
	return body
}

func (k *caller) createOne(ctx context.Context, api *client, i int64) error {
	var made madeJob
	if err := api.call(ctx, "POST", "/api/v1/jobs", manualJob(fmt.Sprintf("one-%d", i)), &made); err != nil {
		return err
	}
	k.keep(made.ID)
	return nil
}

func (k *caller) createSome(ctx context.Context, api *client, i int64, n int) error {
	jobs := make([]newJob, n)
	for item := range jobs {
		jobs[item] = manualJob(fmt.Sprintf("some-%d-%d", i, item))
	}
	var made struct {
		Failed int
		Items  []struct {
			JobID firjob.JobID `json:"job_id"`
		}
	}
	err := api.call(ctx, "POST", "/api/v1/jobs:batch", newJobs{jobs, true}, &made)
	if err == nil && (made.Failed > 0 || len(made.Items) != n) {
		err = fmt.Errorf("%d of %d jobs were refused, and %d answered for", made.Failed, n, len(made.Items))
	}
	for _, item := range made.Items {
		k.keep(item.JobID)
	}
	return err
}

func (k *caller) keep(id firjob.JobID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.made = append(k.made, id)
}

// target is the job of the i-th trigger.
func (k *caller) target(i int64) firjob.JobID {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.made[i%int64(len(k.made))]
}

func (k *caller) triggerOne(ctx context.Context, api *client, i int64) error {
	err := api.call(ctx, "POST", fmt.Sprintf("/api/v1/jobs/%d/trigger", k.target(i)), nil, nil)
	if err == nil {
		k.triggers.Add(1)
	}
	return err
}

func (k *caller) triggerSome(ctx context.Context, api *client, i int64, n int) error {
	var body struct {
		Items []struct{} `json:"items"` // each takes the job's params, now
	}
	body.Items = make([]struct{}, n)
	var made struct{ Stored, Failed int64 }
	err := api.call(ctx, "POST", fmt.Sprintf("/api/v1/jobs/%d/trigger:batch", k.target(i)), body, &made)
	if err == nil && made.Failed > 0 {
		err = fmt.Errorf("%d of %d triggers were refused", made.Failed, n)
	}
	k.triggers.Add(made.Stored)
	return err
}
