package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/app"
	"github.com/firjob/firjob/internal/cluster"
)

// load is what a benchmark offers: rate executions a second of jobs that each
// fire every interval.
type load struct {
	handler  string
	rate     int
	interval time.Duration
}

func (l load) jobs() int { return max(1, int(float64(l.rate)*l.interval.Seconds())) }

// bench is one run on one cluster.
type bench struct {
	stack *cluster.Cluster
	p     *process
	load  load
	first []time.Time // of each job: its first fire
}

// settle is how long executions of the span may take to end once it is over.
const settle = time.Minute

// run loads the cluster and measures the span after the warm-up.
func (b *bench) run(ctx context.Context, warmup, span time.Duration) (m measurement, err error) {
	if err := b.createJobs(ctx); err != nil {
		return m, err
	}
	if !passed(ctx, warmup) {
		return m, ctx.Err()
	}
	from := time.Now().Truncate(time.Millisecond)
	before := usage(b.stack)
	if !passed(ctx, span) {
		return m, ctx.Err()
	}
	until := time.Now().Truncate(time.Millisecond)
	after := usage(b.stack)
	audit, err := b.settled(ctx, from, until)
	if err != nil {
		return m, err
	}
	return b.result(audit, from, until, before, after), nil
}

// result compares the records with what had to be.
func (b *bench) result(a firjob.Audit, from, until time.Time, before, after processUsage) measurement {
	seconds := until.Sub(from).Seconds()
	expected := b.expected(from, until)
	m := measurement{
		ExecutionsPerSecond: float64(a.Finished) / seconds,
		Offered:             float64(expected) / seconds,
		Executions:          a.Finished,
		Seconds:             seconds,
		Early:               a.Early,
		Lost:                max(0, expected-a.Succeeded),
		Doubled:             max(0, a.Recorded-expected),
		Repeated:            a.Repeated,
		LatenessMS:          make(map[string]float64),
		CPUSeconds:          after.cpuSince(before),
		RSSMB:               after.rssMB,
	}
	for i, name := range []string{"p50", "p99", "p999", "max"} {
		if i < len(a.LatenessMS) {
			m.LatenessMS[name] = a.LatenessMS[i]
		}
	}
	total := 0.0
	for _, s := range m.CPUSeconds {
		total += s
	}
	if a.Finished > 0 {
		m.CPUPerExecution = total * 1e6 / float64(a.Finished)
	}
	return m
}

// expected counts the fires of a span from the jobs' first fires alone, apart
// from all that the scheduler computes.
func (b *bench) expected(from, until time.Time) (n int64) {
	for _, first := range b.first {
		n += firesBefore(first, until, b.load.interval) - firesBefore(first, from, b.load.interval)
	}
	return n
}

// firesBefore counts first + k·interval < t, k ≥ 0.
func firesBefore(first, t time.Time, interval time.Duration) int64 {
	if !first.Before(t) {
		return 0
	}
	return int64((t.Sub(first)-1)/interval) + 1
}

// createJobs makes the load's jobs through the API.
func (b *bench) createJobs(ctx context.Context) error {
	base, err := url.Parse(b.stack.URL())
	if err != nil {
		return err
	}
	const callers = 8
	transport := &http.Transport{MaxIdleConnsPerHost: callers}
	defer transport.CloseIdleConnections()
	api := &client{base: base, token: b.stack.AdminToken, now: b.p.now, http: &http.Client{Timeout: requestTimeout, Transport: transport}}
	b.first = make([]time.Time, b.load.jobs())
	fmt.Fprintf(b.p.stderr, "making %d jobs that fire every %v\n", len(b.first), b.load.interval)
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(callers)
	for i := range b.first {
		group.Go(func() (err error) {
			b.first[i], err = b.createJob(groupCtx, api, i)
			return err
		})
	}
	return group.Wait()
}

func (b *bench) createJob(ctx context.Context, api *client, i int) (first time.Time, err error) {
	answer, err := api.post(ctx, "/api/v1/jobs", map[string]any{
		"app": cluster.App, "name": fmt.Sprintf("bench-%d", i), "handler": b.load.handler,
		"schedule": map[string]any{"kind": "every", "interval": b.load.interval.String()},
		"misfire":  map[string]any{"policy": "fire_all"},
	})
	if err != nil {
		return first, err
	}
	var job firjob.Job
	if err := json.Unmarshal(answer, &job); err != nil {
		return first, err
	}
	if job.NextFireAt == nil {
		return first, fmt.Errorf("the server gave job %d no next fire", job.ID)
	}
	return *job.NextFireAt, nil
}

// settled audits the span once all of its executions are final, or when that
// has taken too long.
func (b *bench) settled(ctx context.Context, from, until time.Time) (a firjob.Audit, err error) {
	deadline := time.Now().Add(settle)
	for {
		a, err = app.Audit(ctx, b.stack.DatabaseURL, from, until)
		if err != nil || a.Open == 0 && a.Recorded > 0 || time.Now().After(deadline) {
			return a, err
		}
		if !passed(ctx, time.Second) {
			return a, ctx.Err()
		}
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

// named writes the values of m by name.
func named(m map[string]float64, format string) string {
	var parts []string
	for name, value := range m {
		parts = append(parts, fmt.Sprintf("%s "+format, name, value))
	}
	slices.Sort(parts)
	return strings.Join(parts, "  ")
}
