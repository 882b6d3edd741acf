package httpapi_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/firjob/firjob"
)

func TestIfMatch(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		header string
		status int
		code   firjob.Code
	}{
		"missing":       {"", http.StatusPreconditionRequired, firjob.CodePreconditionRequired},
		"spaces":        {"  ", http.StatusPreconditionRequired, firjob.CodePreconditionRequired},
		"stale":         {`"2"`, http.StatusPreconditionFailed, firjob.CodePreconditionFailed},
		"weak":          {`W/"1"`, http.StatusPreconditionFailed, firjob.CodePreconditionFailed},
		"without marks": {`1`, http.StatusPreconditionFailed, firjob.CodePreconditionFailed},
		"current":       {`"1"`, http.StatusOK, ""},
		"any":           {`*`, http.StatusOK, ""},
		"several":       {`"7", "1" , W/"2"`, http.StatusOK, ""},
		"several stale": {`"7","2"`, http.StatusPreconditionFailed, firjob.CodePreconditionFailed},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSurface(t)
			job := s.job(goodJob)
			s.call("POST", "/api/v1/calendars", goodCalendar).want(http.StatusCreated)
			s.scheduler.made = nil
			for _, path := range []string{job, "/api/v1/calendars/holidays"} {
				before := s.call("GET", path, "").want(http.StatusOK)
				r := s.call("PATCH", path, `{}`, "If-Match", tt.header).want(tt.status)
				if tt.status == http.StatusOK {
					if got := r.header.Get("ETag"); got != `"2"` {
						t.Errorf("%s: ETag after the change: got %s, want \"2\"", path, got)
					}
					s.call("DELETE", path, "", "If-Match", `"2"`).want(http.StatusNoContent)
					continue
				}
				if p := r.problem(); p.Code != tt.code {
					t.Errorf("%s: got code %q, want %q", path, p.Code, tt.code)
				}
				s.call("DELETE", path, "", "If-Match", tt.header).want(tt.status)
				if after := s.call("GET", path, "").want(http.StatusOK); after.body != before.body || after.header.Get("ETag") != `"1"` {
					t.Errorf("%s: got %s with ETag %s, want it as before", path, after.body, after.header.Get("ETag"))
				}
			}
			if tt.status != http.StatusOK && len(s.scheduler.made) > 0 {
				t.Errorf("the scheduler was asked %v", s.scheduler.made)
			}
		})
	}
}

// A pause is wanted whatever the job has become, unless somebody says otherwise.
func TestPauseMayDoWithoutIfMatch(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	job := s.job(goodJob)
	if got := s.call("POST", job+"/pause", "").want(http.StatusOK).header.Get("ETag"); got != `"2"` {
		t.Errorf("ETag: got %s, want \"2\"", got)
	}
	s.call("POST", job+"/resume", "", "If-Match", `"1"`).want(http.StatusPreconditionFailed).problem()
	s.call("POST", job+"/resume", "", "If-Match", `"2"`).want(http.StatusOK)
	if want := []string{"job 1 changed", "job 1 changed"}; !slices.Equal(s.scheduler.made, want) {
		t.Errorf("the scheduler was asked %v, want %v", s.scheduler.made, want)
	}
}
