package httpapi_test

import (
	"net/http"
	"strings"
	"testing"
)

// What a dry run does in the store, internal/app shows: here is what is told of
// it.
func TestADryRunIsMarkedAndTellsTheSchedulerNothing(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	job := s.job(goodJob)
	s.scheduler.made = nil
	for _, request := range []struct{ method, path, body string }{
		{"POST", "/api/v1/jobs", strings.Replace(soonJob, "nightly", "hourly", 1)},
		{"POST", "/api/v1/jobs:batch", `{"jobs":[` + strings.Replace(soonJob, "nightly", "daily", 1) + `]}`},
		{"PATCH", job, `{"timeout":"5s"}`},
		{"POST", job + "/pause", ``},
		{"POST", job + "/trigger", ``},
		{"POST", job + "/trigger:batch", `{"items":[{}]}`},
		{"DELETE", job, ``},
	} {
		for _, path := range []string{request.path + "?dry_run=true"} {
			r := s.call(request.method, path, request.body)
			if r.status >= 300 || r.header.Get("Firjob-Dry-Run") != "true" {
				t.Errorf("%s %s: got %d, marked %q: %s", request.method, path, r.status, r.header.Get("Firjob-Dry-Run"), r.body)
			}
		}
	}
	if len(s.scheduler.made) > 0 {
		t.Errorf("the scheduler was asked %v", s.scheduler.made)
	}
	r := s.call("POST", "/api/v1/jobs?dry_run=false", strings.Replace(soonJob, "nightly", "weekly", 1)).want(http.StatusCreated)
	if r.header.Get("Firjob-Dry-Run") != "" || len(s.scheduler.made) != 1 {
		t.Errorf("dry_run=false: marked %q, the scheduler was asked %v", r.header.Get("Firjob-Dry-Run"), s.scheduler.made)
	}
}

func TestIdempotencyKeys(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	first := s.call("POST", "/api/v1/jobs", goodJob, "Idempotency-Key", "k1").want(http.StatusCreated)
	again := s.call("POST", "/api/v1/jobs", goodJob, "Idempotency-Key", "k1").want(http.StatusCreated)
	if again.body != first.body || again.header.Get("Idempotent-Replayed") != "true" || first.header.Get("Idempotent-Replayed") != "" {
		t.Errorf("got %s, replayed %q; want %s, replayed", again.body, again.header.Get("Idempotent-Replayed"), first.body)
	}
	for _, name := range []string{"Location", "ETag", "Content-Type"} {
		if again.header.Get(name) != first.header.Get(name) || first.header.Get(name) == "" {
			t.Errorf("%s: got %q, want %q", name, again.header.Get(name), first.header.Get(name))
		}
	}
	for _, prefer := range []string{"return=minimal", ""} { // a repeat gets the form of the first answer
		brief := s.call("POST", "/api/v1/jobs:batch", `{"jobs":[{}]}`, "Idempotency-Key", "k3", "Prefer", prefer).want(http.StatusOK)
		if got := brief.header.Get("Preference-Applied"); got != "return=minimal" {
			t.Errorf("the answer or its repeat says that %q was applied", got)
		}
	}
	other := strings.Replace(soonJob, "nightly", "hourly", 1)
	if p := s.call("POST", "/api/v1/jobs", other, "Idempotency-Key", "k1").want(422).problem(); p.Code != "idempotency_reused" {
		t.Errorf("another body: got code %q", p.Code)
	}
	s.call("POST", "/api/v1/jobs", other, "Idempotency-Key", "k2").want(http.StatusCreated)
	s.call("POST", "/api/v1/jobs/1/pause", "", "Idempotency-Key", "k1").want(http.StatusOK) // a key belongs to a path
	if got := s.store.stored(); !strings.Contains(got, " 2 jobs") {
		t.Errorf("the store holds %s, want 2 jobs", got)
	}
	p := s.call("POST", "/api/v1/jobs", goodJob, "Idempotency-Key", strings.Repeat("k", 256)).want(422).problem()
	if got := p.locations(); len(got) != 1 || got[0] != "header.Idempotency-Key" {
		t.Errorf("a long key: got faults at %v", got)
	}
	s.call("POST", "/api/v1/jobs", strings.Repeat(" ", 1<<20)+goodJob, "Idempotency-Key", "k3").want(http.StatusRequestEntityTooLarge)
	if _, kept := s.store.answers["k3 POST /api/v1/jobs"]; kept {
		t.Error("an error was kept")
	}
}

// A secret is shown once: its answer is never kept.
func TestAnswersWithSecretsAreNotKept(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	r := s.call("POST", "/api/v1/apps", `{"name":"mail"}`, "Idempotency-Key", "k1").want(http.StatusCreated)
	if !strings.Contains(r.body, `"secret"`) {
		t.Errorf("got %s, want the secret", r.body)
	}
	if len(s.store.answers) > 0 {
		t.Errorf("kept: %v", s.store.answers)
	}
}

func TestADryRunTakesNoKey(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	s.call("POST", "/api/v1/jobs?dry_run=true", goodJob, "Idempotency-Key", "k1").want(http.StatusCreated)
	if len(s.store.answers) > 0 {
		t.Errorf("kept: %v", s.store.answers)
	}
}
