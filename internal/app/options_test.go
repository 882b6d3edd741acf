package app_test

import (
	"strings"
	"testing"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/app"
)

// Settings are judged before anything is opened, all at once.
func TestFaultySettings(t *testing.T) {
	t.Parallel()
	_, err := app.NewServer(t.Context(), app.Options{
		DatabaseURL: "postgres://localhost/nothing", RedisURL: "redis://localhost:1",
		LogLimit: 1000, EgressAllow: []string{"10.0.0.0/8", "https://example.org", "10.0.0.0/99"},
	})
	if firjob.CodeOf(err) != firjob.CodeInvalid {
		t.Fatalf("got %v, want settings that are faulty", err)
	}
	for _, want := range []string{"FIRJOB_LOG_LIMIT is 1000 bytes", `FIRJOB_EGRESS_ALLOW: "https://example.org" is not`, `"10.0.0.0/99" is not`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in: %v", want, err)
		}
	}
}
