package httpapi_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/httpapi"
	"github.com/firjob/firjob/internal/ports"
)

// instantly is a store that takes everything at once, so that what is measured is
// the surface.
type instantly struct{ *memory }

func (instantly) CreateJob(_ context.Context, j firjob.Job) (firjob.Job, error) {
	j.ID, j.Version, j.CreatedAt, j.UpdatedAt = 1, 1, someday, someday
	if j.Schedule.Kind != firjob.ScheduleManual {
		j.NextFireAt = new(time.Now().Add(time.Hour))
	}
	return j, nil
}

func (s instantly) CreateJobs(ctx context.Context, jobs []firjob.Job, _ bool) ([]ports.StoredJob, error) {
	stored := make([]ports.StoredJob, len(jobs))
	for i, j := range jobs {
		stored[i].Job, stored[i].Err = s.CreateJob(ctx, j)
	}
	return stored, nil
}

func (instantly) Trigger(_ context.Context, t ports.TriggerRequest) (firjob.Execution, bool, error) {
	at := time.Now()
	return firjob.Execution{ID: firjob.NewExecutionID(t.Job, at, firjob.KindManual, 1), JobID: t.Job, Job: "nightly-report", App: "billing",
		Handler: "report", Kind: firjob.KindManual, ScheduledAt: at, DueAt: at, State: firjob.StatePlanned, Params: t.Params}, true, nil
}

func (s instantly) TriggerMany(ctx context.Context, _ firjob.JobID, list []ports.TriggerRequest) ([]ports.Triggered, error) {
	made := make([]ports.Triggered, len(list))
	for i, t := range list {
		made[i].Execution, made[i].Due, made[i].Err = s.Trigger(ctx, t)
	}
	return made, nil
}

// nowhere takes an answer and keeps none of it.
type nowhere struct {
	header http.Header
	status int
}

func (n *nowhere) Header() http.Header         { return n.header }
func (n *nowhere) WriteHeader(status int)      { n.status = status }
func (n *nowhere) Write(p []byte) (int, error) { return len(p), nil }

// BenchmarkWrites measures what the surface costs for each item, whatever the
// store does: one request with one item, and one with many.
func BenchmarkWrites(b *testing.B) {
	const many = 1000
	small := `{"app":"billing","name":"one-%d","handler":"noop","schedule":{"kind":"manual"}}`
	large := `{"app":"billing","name":"one-%d","handler":"report","params":{"region":"eu"},"retry":{"max_attempts":5,"backoff":"2s"},
		"misfire":{"policy":"fire_all"},"timeout":"30s","schedule":{"kind":"cron","expr":"0 0 2 * * *","timezone":"Asia/Shanghai"}}`
	times := func(item string) string {
		var list []string
		for i := range many {
			list = append(list, strings.ReplaceAll(item, "%d", fmt.Sprint(i)))
		}
		return strings.Join(list, ",")
	}
	for _, bb := range []struct {
		name, path, body string
		items            int
		status           int
	}{
		{"create", "/api/v1/jobs", small, 1, http.StatusCreated},
		{"createCron", "/api/v1/jobs", large, 1, http.StatusCreated},
		{"trigger", "/api/v1/jobs/1/trigger", `{}`, 1, http.StatusCreated},
		{"createMany", "/api/v1/jobs:batch", `{"atomic":true,"jobs":[` + times(small) + `]}`, many, http.StatusOK},
		{"createManyCron", "/api/v1/jobs:batch", `{"atomic":true,"jobs":[` + times(large) + `]}`, many, http.StatusOK},
		{"triggerMany", "/api/v1/jobs/1/trigger:batch", `{"items":[` + times(`{}`) + `]}`, many, http.StatusOK},
	} {
		b.Run(bb.name, func(b *testing.B) {
			api := httpapi.New(httpapi.Options{Store: instantly{newMemory()}, Scheduler: &calls{}, AdminToken: admin})
			r := httptest.NewRequest(http.MethodPost, bb.path, nil)
			r.Header.Set("Authorization", "Bearer "+admin)
			b.ReportAllocs()
			for b.Loop() {
				w := &nowhere{header: http.Header{}}
				r.Body = io.NopCloser(bytes.NewReader([]byte(bb.body)))
				api.ServeHTTP(w, r)
				if w.status != bb.status {
					b.Fatalf("answered %d", w.status)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*bb.items), "µs/item")
		})
	}
}
