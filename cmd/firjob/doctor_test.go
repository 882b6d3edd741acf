package main

import (
	"net/http"
	"strings"
	"testing"
)

// The stores are examined by internal/app, whose tests show that; here none is
// named.
func TestDoctor(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		answers []answer
		code    int
		stderr  string
	}{
		{"well", []answer{ok(`{"replicas":["a-1","b-2"],"degraded":false}`), ok(`{"items":[{"name":"billing"}]}`), ok(answerFile(t, "executors"))}, exitOK, ""},
		{"doubtful", []answer{ok(`{"replicas":["a-1"],"degraded":true}`), ok(`{"items":[{"name":"billing"}]}`), ok(`{"items":[]}`)}, exitOK, ""},
		{"refused", []answer{{http.StatusUnauthorized, `{"title":"Unauthorized","detail":"want a token"}`}}, exitFailure, "firjob: 1 of 3 checks failed\n"},
		{"half", []answer{ok(`{"replicas":["a-1"]}`), {http.StatusInternalServerError, `{"title":"Internal"}`}}, exitFailure, "firjob: 1 of 4 checks failed\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := newFakeAPI(t, tt.answers...).ran(t, nil, "", "doctor")
			if got.code != tt.code || got.stderr != tt.stderr {
				t.Errorf("exit code %d, stderr %q; want %d, %q", got.code, got.stderr, tt.code, tt.stderr)
			}
			golden(t, "doctor-"+tt.name, got.stdout)
		})
	}
	got := newFakeAPI(t, tests[0].answers...).ran(t, nil, "", "doctor", "-o", "json")
	if want := `"verdict": "warn",
      "check": "redis",
      "found": "not examined",
      "remedy": "set FIRJOB_REDIS_URL as the servers have it"`; got.code != exitOK || !strings.Contains(got.stdout, want) {
		t.Errorf("exit code %d, stdout %s; want 0 and %s", got.code, got.stdout, want)
	}
}
