// Guard compares the program with the one of the commit before, on this machine
// and now: both run the same short benchmarks in turn. It fails if this one is
// worse by a large drop, twice over. Where it cannot compare, because there is no
// earlier commit, that program cannot be measured so, or the machine is too busy,
// it says so and passes.
//
//	go run ./lab/bench/guard [this program, if it is built already]
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "guard:", err)
		stop()
		os.Exit(1)
	}
}

// errNothing is why there is nothing to compare with; it is no failure.
var errNothing = errors.New("nothing to compare with")

// errLate is why there is no verdict in time; it is no failure either.
var errLate = errors.New("this machine is too busy to compare in time")

// limit is when a benchmark that still runs is told to end; patience is what it may
// then take to stop its processes. Together they are a minute.
const (
	limit    = 50 * time.Second
	patience = 10 * time.Second
)

func run(ctx context.Context, args []string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errLate)
	defer cancel()
	err := guard(ctx, args)
	if err != nil && !errors.Is(err, errDrop) && errors.Is(context.Cause(ctx), errLate) {
		err = errLate
	}
	if errors.Is(err, errNothing) || errors.Is(err, errLate) {
		fmt.Println(err)
		return nil
	}
	return err
}

func guard(ctx context.Context, args []string) error {
	dir, err := os.MkdirTemp("", "firjob-guard-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	before, err := buildBefore(ctx, dir)
	if err != nil {
		return err
	}
	now := filepath.Join(dir, "firjob-now")
	if len(args) > 0 {
		now = args[0]
	} else if err := build(ctx, ".", now); err != nil {
		return err
	}
	return compare(ctx, os.Stdout, before, now, measure)
}

// buildBefore builds the program of the commit before this one. errNothing if
// there is none here, or it does not build.
func buildBefore(ctx context.Context, dir string) (binary string, err error) {
	commit, err := output(ctx, ".", "git", "rev-parse", "--verify", "--quiet", "HEAD^")
	if err != nil {
		return "", fmt.Errorf("%w: the commit before this one is not here (a shallow clone, or the first)", errNothing)
	}
	source := filepath.Join(dir, "before")
	if err := os.Mkdir(source, 0o755); err != nil {
		return "", err
	}
	archive := filepath.Join(dir, "before.tar")
	if _, err := output(ctx, ".", "git", "archive", "--output", archive, strings.TrimSpace(commit)); err != nil {
		return "", fmt.Errorf("%w: %w", errNothing, err)
	}
	if _, err := output(ctx, source, "tar", "-xf", archive); err != nil {
		return "", fmt.Errorf("%w: %w", errNothing, err)
	}
	binary = filepath.Join(dir, "firjob-before")
	if err := build(ctx, source, binary); err != nil {
		return "", fmt.Errorf("%w: the commit before this one does not build: %w", errNothing, err)
	}
	return binary, nil
}

func build(ctx context.Context, source, binary string) error {
	program := "./cmd/firjob-lab"
	if _, err := os.Stat(filepath.Join(source, program)); err != nil {
		program = "./cmd/firjob" // of a commit in which it held the benchmarks
	}
	_, err := output(ctx, source, "go", "build", "-buildvcs=false", "-o", binary, program)
	return err
}

// output runs a command in a folder and returns what it prints. Cgo stays off, as
// in the build that is released.
func output(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // it has servers to stop
	cmd.WaitDelay = patience
	cmd.Env = append(slices.DeleteFunc(os.Environ(), ofFirjob), "CGO_ENABLED=0")
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, complaint.String())
	}
	return string(out), nil
}

// ofFirjob reports whether a variable is a setting of the program: stores that
// somebody else uses would be compared, and emptied.
func ofFirjob(variable string) bool { return strings.HasPrefix(variable, "FIRJOB_") }
