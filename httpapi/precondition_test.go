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
		"missing":          {"", http.StatusPreconditionRequired, firjob.CodePreconditionRequired},
		"spaces":           {"  ", http.StatusPreconditionRequired, firjob.CodePreconditionRequired},
		"stale":            {`"2"`, http.StatusPreconditionFailed, firjob.CodePreconditionFailed},
		"never reached":    {`"99"`, http.StatusPreconditionFailed, firjob.CodePreconditionFailed},
		"of another":       {`"1,2-ü"`, http.StatusPreconditionFailed, firjob.CodePreconditionFailed},
		"weak":             {`W/"1"`, http.StatusUnprocessableEntity, firjob.CodeInvalid},
		"without quotes":   {`1`, http.StatusUnprocessableEntity, firjob.CodeInvalid},
		"half a quote":     {`"1`, http.StatusUnprocessableEntity, firjob.CodeInvalid},
		"a word":           {`abc`, http.StatusUnprocessableEntity, firjob.CodeInvalid},
		"current":          {`"1"`, http.StatusOK, ""},
		"any":              {` * `, http.StatusOK, ""},
		"several":          {`"7", "1" ,"2"`, http.StatusOK, ""},
		"several stale":    {`"7","2"`, http.StatusPreconditionFailed, firjob.CodePreconditionFailed},
		"one of them weak": {`W/"2", "1"`, http.StatusOK, ""},
		"another and weak": {`"2", W/"1"`, http.StatusUnprocessableEntity, firjob.CodeInvalid},
		"empty elements":   {`"2",, "1",`, http.StatusOK, ""},
		"a tag and more":   {`"1"x`, http.StatusUnprocessableEntity, firjob.CodeInvalid},
		"commas alone":     {`,,`, http.StatusUnprocessableEntity, firjob.CodeInvalid},
		"one of them any":  {`"2", *`, http.StatusUnprocessableEntity, firjob.CodeInvalid},
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
				p := r.problem()
				if p.Code != tt.code {
					t.Errorf("%s: got code %q, want %q", path, p.Code, tt.code)
				}
				if p.Code == firjob.CodePreconditionFailed && p.Detail != "it is at version 1 now, which If-Match does not name: read it again" {
					t.Errorf("%s: got %q", path, p.Detail)
				}
				if want := []string{"header.If-Match"}; p.Code == firjob.CodeInvalid && !slices.Equal(p.locations(), want) {
					t.Errorf("%s: got faults at %v, want %v", path, p.locations(), want)
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
