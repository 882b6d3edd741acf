// Firjob-lab measures clusters and harms them. It is no part of the product: the
// servers and executors of its clusters are itself, with faults that the product lacks.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/failpoint"
)

// commandLine is the grammar of the command line.
type commandLine struct {
	Bench  benchCmd  `cmd:"" help:"Measure a cluster that is started on this machine."`
	Chaos  chaosCmd  `cmd:"" help:"Do harm to a cluster that is started on this machine, and look for every fire."`
	Server serverCmd `cmd:"" hidden:"" help:"Run one server of a cluster under test. It takes its settings from the environment."`
	Worker workerCmd `cmd:"" hidden:"" help:"Run one executor of a cluster under test. It takes its settings from the environment."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	p := &process{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, now: time.Now}
	if err := failpoint.Check(); err != nil {
		os.Exit(p.fail(usageError{err}))
	}
	os.Exit(p.run(ctx, os.Args[1:]))
}

// process is what a command sees of the process that it runs in.
type process struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	now            func() time.Time
}

// The exit codes.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

// errHelpShown ends the parsing: kong's own help would end the process.
var errHelpShown = errors.New("help was shown")

// run runs the command that args name and returns the exit code.
func (p *process) run(ctx context.Context, args []string) int {
	parser, err := kong.New(new(commandLine), kong.Name("firjob-lab"),
		kong.Description("Firjob-lab measures clusters and harms them. Exit codes: 0 success, 1 failure, 2 "+
			"wrong usage."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.Writers(p.stdout, p.stderr), kong.Exit(func(int) { panic(errHelpShown) }))
	if err != nil {
		return p.fail(fmt.Errorf("set up the command line: %w", err))
	}
	command, err := parse(parser, args)
	switch {
	case errors.Is(err, errHelpShown):
		return exitOK
	case err != nil:
		return p.fail(usageError{err})
	}
	command.BindTo(ctx, (*context.Context)(nil))
	return p.fail(command.Run(p))
}

// parse is parser.Parse, and errHelpShown where that would end the process.
func parse(parser *kong.Kong, args []string) (command *kong.Context, err error) {
	defer func() {
		switch r := recover(); r {
		case nil:
		case errHelpShown:
			err = errHelpShown
		default:
			panic(r)
		}
	}()
	return parser.Parse(args)
}

// usageError is an error of whoever typed the command line.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// fail prints an error, if there is one, and returns the exit code.
func (p *process) fail(err error) int {
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(p.stderr, "firjob-lab: %v\n", err)
	var usage usageError
	if errors.As(err, &usage) || firjob.CodeOf(err) == firjob.CodeInvalid {
		return exitUsage
	}
	return exitFailure
}

// programVersion is how this build calls itself in reports.
func programVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return info.Main.Version + " " + s.Value
		}
	}
	return info.Main.Version
}
