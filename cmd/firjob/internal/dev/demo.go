package dev

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/cmd/firjob/internal/client"
	"github.com/firjob/firjob/cmd/firjob/internal/console"
	"github.com/firjob/firjob/internal/cluster"
)

// demo is what dev shows: its jobs, and what became of them.
type demo struct {
	api   *client.Client
	since time.Time
	jobs  []demoJob

	faults repeats // of looking for what ended
}

// demoJob is a job of the demo and the kind of schedule that it shows.
type demoJob struct {
	id   firjob.JobID
	kind firjob.ScheduleKind
}

// greeting is the name of dev's job.
const greeting = "greeting"

// greetingJob is the body of the one job that dev makes.
func greetingJob() []map[string]any {
	return []map[string]any{{
		"name": greeting, "handler": "echo", "params": map[string]any{"hello": "world"},
		"schedule": map[string]any{"kind": firjob.ScheduleEvery, "interval": "10s"},
	}}
}

// checkJobs are the bodies of the check's jobs, one for each kind of schedule,
// and one that fails at first.
func checkJobs(now time.Time) []map[string]any {
	schedule := func(kind firjob.ScheduleKind, field, value string) map[string]any {
		return map[string]any{"kind": kind, field: value}
	}
	return []map[string]any{
		{"name": "heartbeat", "handler": "noop", "schedule": schedule("every", "interval", "2s")},
		{"name": "report", "handler": "echo", "params": map[string]any{"region": "eu"},
			"schedule": schedule("cron", "expr", "*/5 * * * * *")},
		{"name": "crawl", "handler": "sleep", "params": map[string]any{"for": "1s"},
			"schedule": schedule("delay", "interval", "3s")},
		{"name": "once-" + now.UTC().Format("150405.000"), "handler": "echo",
			"params":   map[string]any{"hello": "world"},
			"schedule": schedule("at", "at", now.Add(3*time.Second).UTC().Format(time.RFC3339Nano))},
		{"name": "by-hand", "handler": "echo", "schedule": map[string]any{"kind": "manual"}},
		{"name": "flaky", "handler": "flaky", "schedule": schedule("every", "interval", "15s"),
			"retry": map[string]any{"max_attempts": 3, "backoff": "500ms"}},
	}
}

// create makes the jobs that an earlier run has not left. It triggers the one
// that only fires by hand, and the greeting, so that there is something to see.
func (d *demo) create(ctx context.Context, bodies []map[string]any) error {
	d.awaitExecutor(ctx)
	for _, body := range bodies {
		body["app"] = cluster.App
		job, err := d.ensure(ctx, body)
		if err != nil {
			return fmt.Errorf("make the demo job %s: %w", body["name"], err)
		}
		d.jobs = append(d.jobs, demoJob{job.ID, job.Schedule.Kind})
		if job.Name != greeting && job.Schedule.Kind != firjob.ScheduleManual {
			continue
		}
		if _, err := d.api.Post(ctx, fmt.Sprintf("/api/v1/jobs/%d/trigger", job.ID), map[string]any{}); err != nil {
			return fmt.Errorf("trigger the demo job %s: %w", body["name"], err)
		}
	}
	return nil
}

// executorPatience bounds the wait for the first executor.
const executorPatience = 5 * time.Second

// awaitExecutor waits until an executor is there, so that the first fires of a
// demo are on time, too. Without one the demo begins all the same.
func (d *demo) awaitExecutor(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, executorPatience)
	defer cancel()
	d.poll(ctx, func() bool {
		answer, err := d.api.Get(ctx, "/api/v1/apps/"+cluster.App+"/executors", nil)
		var found client.Page
		return err == nil && json.Unmarshal(answer, &found) == nil && len(found.Items) > 0
	})
}

// ensure makes a job, or finds the one of its name.
func (d *demo) ensure(ctx context.Context, body map[string]any) (job firjob.Job, err error) {
	answer, err := d.api.Post(ctx, "/api/v1/jobs", body)
	if p := new(client.Problem); errors.As(err, &p) && p.Status == http.StatusConflict {
		return d.find(ctx, body["name"].(string))
	}
	if err != nil {
		return job, err
	}
	return job, json.Unmarshal(answer, &job)
}

func (d *demo) find(ctx context.Context, name string) (job firjob.Job, err error) {
	answer, err := d.api.List(ctx, "/api/v1/jobs", url.Values{"app": {cluster.App}, "q": {name}}, 0)
	if err != nil {
		return job, err
	}
	var found struct {
		Items []firjob.Job `json:"items"`
	}
	if err := json.Unmarshal(answer, &found); err != nil {
		return job, err
	}
	i := slices.IndexFunc(found.Items, func(j firjob.Job) bool { return j.Name == name })
	if i < 0 {
		return job, fmt.Errorf("there is a job %q, but it is not in the list", name)
	}
	return found.Items[i], nil
}

// ended returns the executions that ended and are not in seen yet, the
// earliest first, and adds them.
func (d *demo) ended(ctx context.Context, seen map[firjob.ExecutionID]bool) ([]firjob.Execution, error) {
	query := url.Values{"app": {cluster.App}, "since": {d.since.UTC().Format(time.RFC3339Nano)}}
	answer, err := d.api.List(ctx, "/api/v1/executions", query, client.MaxPage)
	if err != nil {
		return nil, err
	}
	var found struct {
		Items []firjob.Execution `json:"items"`
	}
	if err := json.Unmarshal(answer, &found); err != nil {
		return nil, err
	}
	var fresh []firjob.Execution
	for _, e := range slices.Backward(found.Items) {
		if e.State.Final() && !seen[e.ID] && !endedBefore(e, d.since) {
			seen[e.ID] = true
			fresh = append(fresh, e)
		}
	}
	return fresh, nil
}

// endedBefore reports whether an execution ended before an instant. An earlier run of
// dev has shown it, also where its scheduled time is still to come.
func endedBefore(e firjob.Execution, at time.Time) bool {
	return e.FinishedAt != nil && e.FinishedAt.Before(at)
}

// look returns what ended since the last look. It prints an error and goes on.
func (d *demo) look(ctx context.Context, out *printer, seen map[firjob.ExecutionID]bool) []firjob.Execution {
	fresh, err := d.ended(ctx, seen)
	if ctx.Err() != nil {
		return fresh
	}
	if line := d.faults.met(err, out.now()); line != "" {
		out.line("cannot list what ended: %s", console.OneLine(line))
	}
	return fresh
}

// pollInterval is how often the demo looks for new executions.
const pollInterval = 500 * time.Millisecond

// follow prints each execution that ended until ctx ends, but for the superseded:
// these are planned fires of a job that was changed or deleted.
func (d *demo) follow(ctx context.Context, out *printer) {
	seen := make(map[firjob.ExecutionID]bool)
	d.poll(ctx, func() bool {
		for _, line := range describeAll(d.look(ctx, out, seen), out.now().Location()) {
			out.line("%s", line)
		}
		if n := len(seen); n > 10*client.MaxPage {
			clear(seen)
			d.since = time.Now()
		}
		return false
	})
}

// describe says in a line how an execution ended.
func describe(e firjob.Execution, zone *time.Location) string {
	text := fmt.Sprintf("%-24s %-10s due %s", e.Job, e.State, e.ScheduledAt.In(zone).Format("15:04:05.000"))
	if e.LatenessMS != nil {
		text += fmt.Sprintf("  started %v later", firjob.Milliseconds(*e.LatenessMS))
	}
	if e.Executor != "" {
		text += "  on " + e.Executor
	}
	if e.Attempt > 1 {
		text += fmt.Sprintf("  attempt %d", e.Attempt)
	}
	if e.Reason != "" {
		text += "  (" + e.Reason + ")"
	}
	return console.OneLine(text)
}

// checkPatience bounds the check.
const checkPatience = 60 * time.Second

// check waits for a success of each kind of schedule.
func (d *demo) check(ctx context.Context, out *printer) error {
	waiting := make(map[firjob.JobID]firjob.ScheduleKind)
	for _, j := range d.jobs {
		waiting[j.id] = j.kind
	}
	seen := make(map[firjob.ExecutionID]bool)
	ctx, cancel := context.WithTimeout(ctx, checkPatience)
	defer cancel()
	d.poll(ctx, func() bool {
		ended := d.look(ctx, out, seen)
		for _, line := range describeAll(ended, out.now().Location()) {
			out.line("%s", line)
		}
		for _, e := range ended {
			if e.State == firjob.StateSucceeded {
				delete(waiting, e.JobID)
			}
		}
		return len(waiting) == 0
	})
	if len(waiting) > 0 {
		var kinds []string
		for _, kind := range waiting {
			kinds = append(kinds, string(kind))
		}
		return fmt.Errorf("no success within %v of demo jobs of kind %s", checkPatience, strings.Join(kinds, ", "))
	}
	out.line("check passed: every kind of demo job has succeeded")
	return nil
}

// poll calls look until it is satisfied or ctx ends.
func (d *demo) poll(ctx context.Context, look func() (done bool)) {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for !look() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// printer writes lines with the time of day. It is safe for concurrent use.
type printer struct {
	mu  sync.Mutex
	w   io.Writer
	now func() time.Time // in the zone that is shown
}

func (p *printer) line(format string, args ...any) {
	p.text("%s  %s\n", p.now().Format("15:04:05.000"), fmt.Sprintf(format, args...))
}

func (p *printer) text(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.w, format, args...)
}
