package main

import (
	"net/http"
	"strings"
	"testing"
)

// What "job get -o json" printed can be edited and given back: only the difference
// is sent.
func TestEditOfAWholeJob(t *testing.T) {
	t.Parallel()
	whole := answerFile(t, "job")
	for _, tt := range []struct {
		name, old, new, patch, refused string
	}{
		{"nothing", "", "", `{}`, ""},
		{"a field", `"timeout":"10m0s"`, `"timeout":"5m"`, `{"timeout":"5m"}`, ""},
		{"a field inside", `"timezone":"Asia/Shanghai"`, `"timezone":"UTC"`, `{"schedule":{"timezone":"UTC"}}`, ""},
		{"a field less", `"priority":0,`, ``, `{"priority":null}`, ""},
		{"what comes by itself", `"next_fire_at":"`, `"next_fire_at":"x`, `{}`, ""},
		{"an older version", `"version":3`, `"version":2`, "", "the file is version 2 of the job, which is at version 3 now"},
		{"another job", `"id":42`, `"id":41`, "", "the file is another job: number 41 of app billing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if !strings.Contains(whole, tt.old) {
				t.Fatalf("the job does not hold %s:\n%s", tt.old, whole)
			}
			api := newFakeAPI(t, ok(whole))
			got := api.ran(t, nil, strings.Replace(whole, tt.old, tt.new, 1), "job", "edit", "42", "-f", "-")
			last := api.requests()[len(api.requests())-1]
			if tt.refused != "" {
				if got.code != exitUsage || !strings.Contains(got.stderr, tt.refused) || last.Method != http.MethodGet {
					t.Errorf("exit code %d, stderr %q, last request %v", got.code, got.stderr, last)
				}
				return
			}
			if got.code != exitOK || last.Body != tt.patch || last.Match != `"3"` {
				t.Errorf("exit code %d, stderr %q, sent %s; want %s", got.code, got.stderr, last.Body, tt.patch)
			}
		})
	}
}
