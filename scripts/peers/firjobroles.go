package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/firjob/firjob/scripts/peers/judge"
	"github.com/firjob/firjob/worker"
)

// firjobServer becomes the firjob program: internal/cluster starts its servers
// and its workers from one program, and here the worker is ours.
func firjobServer(context.Context, []string) error {
	program := os.Getenv(firjobEnv)
	return fmt.Errorf("become %s: %w", program, syscall.Exec(program, []string{program, "server"}, os.Environ()))
}

// firjobWorker is an executor made with the SDK.
func firjobWorker(ctx context.Context, _ []string) error {
	out, err := judge.OpenWriter(os.Getenv(linesEnv))
	if err != nil {
		return err
	}
	w, err := worker.New(worker.Options{
		Server: os.Getenv("FIRJOB_SERVER_URL"), App: os.Getenv("FIRJOB_APP"), Secret: os.Getenv("FIRJOB_APP_SECRET"),
		Listen: os.Getenv("FIRJOB_LISTEN_ADDR"), Advertise: os.Getenv("FIRJOB_ADVERTISE_ADDR"),
		SpoolDir: os.Getenv("FIRJOB_SPOOL_DIR"), Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		return err
	}
	w.Handle("work", func(ctx context.Context, t *worker.Task) error {
		var todo work
		if err := t.Params(&todo); err != nil {
			return worker.Permanent(err)
		}
		return perform(ctx, out, judge.Line{Exec: t.ID.String(), Attempt: t.Attempt, Due: t.ScheduledAt}, todo)
	})
	return w.Run(ctx)
}

// buildFirjob builds firjob-lab, which has the server and the benchmarks, from the tree around this module, with the
// versions that its own module names.
func buildFirjob(ctx context.Context, dir string) (string, error) {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/firjob/firjob").Output()
	if err != nil {
		return "", fmt.Errorf("find the tree of fir-job (run this in its folder, or give -firjob): %w", err)
	}
	program := filepath.Join(dir, "firjob-lab")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", program, "./cmd/firjob-lab")
	cmd.Dir = string(root[:len(root)-1])
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build fir-job: %w\n%s", err, out)
	}
	return program, nil
}
