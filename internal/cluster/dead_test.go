package cluster_test

import (
	"strings"
	"testing"

	"github.com/firjob/firjob/internal/cluster"
)

// Whoever reads that a server did not start needs what it said.
func TestAServerThatCannotStartSaysWhy(t *testing.T) {
	t.Parallel()
	c, err := cluster.Start(t.Context(), cluster.Options{Binary: binary, ServerEnv: []string{"FIRJOB_LOG_LIMIT=1"}})
	if err == nil {
		_ = c.Stop(t.Context())
		t.Fatal("a server with faulty settings has started")
	}
	for _, want := range []string{"server-1 ended before it was ready", "FIRJOB_LOG_LIMIT is 1 bytes"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want it to say %q", err, want)
		}
	}
}
