package chaos

import (
	"context"
	"errors"
	"net/http"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"github.com/firjob/firjob/internal/cluster"
	"github.com/firjob/firjob/internal/localstack"
)

// pressureClasses are those in which nothing breaks, but there is too much of
// something, or too little.
func pressureClasses() []class {
	return []class{
		{"herd", just("herd"), instant, herd, nil},
		{"app-limit", just("app"), spell, limitApp, nil},
		{"machine-busy", just("machine"), spell, keepBusy, nil},
	}
}

func herd(ctx context.Context, s *stage, _ Step) (func(context.Context) error, error) {
	return nil, s.load.herd(ctx)
}

// limitApp lets one attempt of the whole app run at a time, so that everything
// waits for its turn.
func limitApp(ctx context.Context, s *stage, _ Step) (func(context.Context) error, error) {
	limit := func(ctx context.Context, n any) error {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		return s.load.api.insist(ctx, http.MethodPatch, "/api/v1/apps/"+cluster.App, "",
			map[string]any{"max_running": n}, nil)
	}
	return func(ctx context.Context) error { return limit(ctx, nil) }, limit(ctx, 1)
}

// keepBusy has twice as many processes compute as there are processors.
func keepBusy(context.Context, *stage, Step) (func(context.Context) error, error) {
	var busy []*localstack.Child
	var err error
	for range 2 * runtime.GOMAXPROCS(0) {
		var child *localstack.Child
		if child, err = localstack.Spawn(exec.Command("/bin/sh", "-c", "while :; do :; done")); err != nil {
			break
		}
		busy = append(busy, child)
	}
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		var errs []error
		for _, child := range busy {
			errs = append(errs, child.End(ctx, syscall.SIGKILL))
		}
		return errors.Join(errs...)
	}, err
}
