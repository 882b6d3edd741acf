// Package stacktest gives every test a real Postgres or Redis of its own. A
// machine without them fails the test with the line that installs them; it never
// skips.
//
//	func TestMain(m *testing.M) { os.Exit(stacktest.Main(m)) }
//
//	func TestClaim(t *testing.T) {
//		t.Parallel()
//		url := stacktest.Database(t, migrate)
//		…
//	}
package stacktest

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience bounds every start and stop of a server. It is generous, for machines
// that are busy with other tests.
const patience = time.Minute

// Main runs the tests, stops the servers they shared, and looks for goroutines
// that were left running; those it returns a failure for. Its result is the exit
// code. The options are those of goleak, to ignore what a library leaves behind.
func Main(m *testing.M, options ...goleak.Option) int {
	code := m.Run()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := shared.stop(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "stop the shared postgres:", err)
		return 1
	}
	if code != 0 {
		return code // the leaks of a failed test tell nothing new
	}
	if err := goleak.Find(options...); err != nil {
		fmt.Fprintln(os.Stderr, "after the tests:", err)
		return 1
	}
	return 0
}

// stopAtEnd stops a server when the test ends.
func stopAtEnd(t testing.TB, what string, stop func(context.Context) error) {
	t.Helper()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := stop(ctx); err != nil {
			t.Errorf("stop %s: %v", what, err)
		}
	})
}
