// Firjob is the program of the platform: the server, an executor, and the client of
// the HTTP API.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/cmd/firjob/internal/instant"
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
	p := &process{stdin: stdin, stdout: stdout, stderr: stderr, env: env, now: time.Now, zone: time.Local,
		width: terminal.Width(stdout), asks: terminal.Is(stdin) && terminal.Is(stderr)}
	return p.run(ctx, args)
}

// process is what a command sees of the process it runs in. Commands take it as
// a parameter of their Run, next to a context.Context.
type process struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	env            func(string) string // "" for a variable that is not set
	now            func() time.Time
	zone           *time.Location // of the times that people read and write
	width          int            // of a line of the terminal that stdout is; 0 = it is none
	asks           bool           // somebody is there to answer a question
}

// clock is what people's times are relative to.
func (p *process) clock() instant.Clock {
	return instant.Clock{Now: p.now(), Zone: cmp.Or(p.zone, time.UTC)}
}

// run parses args, runs the command they name and turns its error into words
// and an exit code.
func (p *process) run(ctx context.Context, args []string) int {
	p.zone = askedZone(args, p.zone)
	var line commandLine
	parser, err := p.parser(&line)
	if err != nil {
		return p.fail(fmt.Errorf("set up the command line: %w", err))
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
		return p.failUsage(hintQuotes(err, args), selected(err))
	}
	command.BindTo(ctx, (*context.Context)(nil))
	err = command.Run(p)
	switch {
	case err == nil:
		return exitOK
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		return p.fail(errors.New("interrupted"))
	case isUsage(err):
		return p.failUsage(err, command)
	}
	return p.fail(err)
}

// usageError is an error of whoever typed the command line.
type usageError struct{ error }

// isUsage reports whether an error is about the command line or a variable:
// what a server or an executor says of its settings counts, too.
func isUsage(err error) bool {
	var usage usageError
	return errors.As(err, &usage) || firjob.CodeOf(err) == firjob.CodeInvalid
}

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func (p *process) fail(err error) int {
	fmt.Fprintf(p.stderr, "firjob: %v\n", err)
	return exitFailure
}
