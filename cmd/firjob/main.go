// Firjob is the program of the platform: the server, an executor, and the client of
// the HTTP API.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/firjob/firjob/cmd/firjob/internal/console"
	"github.com/firjob/firjob/cmd/firjob/internal/terminal"
	"github.com/firjob/firjob/internal/failpoint"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	if err := failpoint.Check(); err != nil {
		fmt.Fprintln(os.Stderr, "firjob:", err)
		os.Exit(exitUsage)
	}
	os.Exit(realMain(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv))
}

// The exit codes.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

// realMain runs the command that args name and returns the exit code.
func realMain(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer,
	env func(string) string) int {
	p := &console.Process{Stdin: stdin, Stdout: stdout, Stderr: stderr, Env: env, Now: time.Now, Zone: time.Local,
		Width: terminal.Width(stdout), Asks: terminal.Is(stdin) && terminal.Is(stderr)}
	return run(ctx, p, args)
}

// run parses args, runs the command they name and turns its error into words
// and an exit code.
func run(ctx context.Context, p *console.Process, args []string) int {
	p.Zone = console.AskedZone(args, p.Zone)
	var line commandLine
	parser, err := newParser(p, &line)
	if err != nil {
		return fail(p, fmt.Errorf("set up the command line: %w", err))
	}
	if len(args) == 0 {
		_, _ = parser.Parse([]string{"--help"}) // its only outcome is the help that it prints
		return exitUsage
	}
	command, err := parser.Parse(args)
	if errors.Is(err, errHelpShown) {
		return exitOK
	}
	if err != nil {
		return failUsage(p, hintQuotes(err, args), selected(err))
	}
	command.BindTo(ctx, (*context.Context)(nil))
	err = command.Run(p)
	switch {
	case err == nil:
		return exitOK
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		return fail(p, errors.New("interrupted"))
	case console.IsUsage(err):
		return failUsage(p, err, command)
	}
	return fail(p, err)
}

func fail(p *console.Process, err error) int {
	fmt.Fprintf(p.Stderr, "firjob: %v\n", err)
	return exitFailure
}
