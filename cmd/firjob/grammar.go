package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/firjob/firjob/cmd/firjob/internal/apps"
	"github.com/firjob/firjob/cmd/firjob/internal/build"
	"github.com/firjob/firjob/cmd/firjob/internal/console"
	"github.com/firjob/firjob/cmd/firjob/internal/dev"
	"github.com/firjob/firjob/cmd/firjob/internal/doctor"
	"github.com/firjob/firjob/cmd/firjob/internal/executions"
	"github.com/firjob/firjob/cmd/firjob/internal/jobs"
	"github.com/firjob/firjob/cmd/firjob/internal/processes"
)

// commandLine is the grammar of the command line. Each field is a command, in
// the file of its name.
type commandLine struct {
	Help helpFlag `short:"h" help:"Show help; works after each command, too."`

	Dev     dev.Cmd              `cmd:"" group:"Run it:" help:"Run everything on this machine, with a demo job."`
	Server  processes.ServerCmd  `cmd:"" group:"Run it:" help:"Run one server."`
	Worker  processes.WorkerCmd  `cmd:"" group:"Run it:" help:"Run an executor with sample handlers."`
	Migrate processes.MigrateCmd `cmd:"" group:"Run it:" help:"Bring the database's schema up to date, or show what is applied."`
	Bench   processes.LabCmd     `cmd:"" passthrough:"" group:"Run it:" help:"Measure a cluster on this machine (firjob-lab)."`
	Chaos   processes.LabCmd     `cmd:"" passthrough:"" group:"Run it:" help:"Inject faults into a cluster on this machine, and check every fire (firjob-lab)."`

	Job        jobs.Cmd                 `cmd:"" group:"Use it:" help:"Make, show, change and run jobs."`
	Calendar   jobs.CalendarCmd         `cmd:"" group:"Use it:" help:"Make, show and change calendars."`
	Execution  executions.Cmd           `cmd:"" group:"Use it:" help:"Show, cancel and repeat executions."`
	DeadLetter executions.DeadLetterCmd `cmd:"" group:"Use it:" help:"Show, repeat and dismiss executions that failed for good."`
	App        apps.Cmd                 `cmd:"" group:"Use it:" help:"Make and show apps and their executors."`
	Executor   apps.ExecutorCmd         `cmd:"" group:"Use it:" help:"Take executors out of service, and back."`
	Stats      executions.StatsCmd      `cmd:"" group:"Use it:" help:"Count executions, and show the queue and the servers."`
	Schedule   jobs.ScheduleCmd         `cmd:"" group:"Use it:" help:"See when a schedule fires, without a server."`
	Doctor     doctor.Cmd               `cmd:"" group:"Use it:" help:"Look for what keeps an installation from working well."`
	Version    build.Cmd                `cmd:"" group:"Use it:" help:"Show the version."`

	Completion completionCmd `cmd:"" group:"Use it:" help:"Print a script that completes command lines in a shell."`
	Complete   completeCmd   `cmd:"" hidden:"" help:"Print what the last word may become."`
}

const description = "Firjob runs jobs on time, on any number of machines. " +
	"Exit codes: 0 success, 1 failure, 2 wrong usage."

// helpWidth bounds the lines of help texts, in characters.
const helpWidth = 100

// newParser returns the parser that fills line.
func newParser(p *console.Process, line *commandLine) (*kong.Kong, error) {
	parser, err := kong.New(line, append(p.TimeFlags(),
		kong.Name("firjob"),
		kong.Description(description),
		kong.NoDefaultHelp(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: helpWidth}),
		kong.ValueFormatter(withVariable), // of the help options, kong replaces it by its own
		kong.Writers(p.Stdout, p.Stderr),
		kong.Resolvers(fromVariables(p)),
	)...)
	if err != nil {
		return nil, err
	}
	parser.Model.HelpFlag = parser.Model.Flags[0]
	return parser, hideVariables(parser.Model.Node)
}

// hideVariables keeps kong from reading environment variables by itself: it
// shows the value of one that is faulty, which may be a secret. The names stay
// in Flag.Envs, where fromVariables and withVariable find them.
func hideVariables(root *kong.Node) error {
	return kong.Visit(root, func(node kong.Visitable, next kong.Next) error {
		if flag, ok := node.(*kong.Flag); ok {
			flag.Tag.Envs = nil
		}
		return next(nil)
	})
}

// fromVariables resolves a flag to what the first of its variables that is set
// holds, nil if none is. An empty variable counts as not set. So does the variable
// of a secret that a flag on the command line gives in the other way.
func fromVariables(p *console.Process) kong.Resolver {
	return kong.ResolverFunc(func(command *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		if slices.ContainsFunc(command.Path,
			func(given *kong.Path) bool { return given.Flag != nil && sameSecret(given.Flag, flag) }) {
			return nil, nil
		}
		for _, name := range flag.Envs {
			if text := p.Env(name); text != "" {
				return text, nil
			}
		}
		return nil, nil
	})
}

// sameSecret reports whether two flags are the two ways to give one secret: as
// such, and as the file that holds it.
func sameSecret(a, b *kong.Flag) bool {
	return a.Name == b.Name+console.FileSuffix || b.Name == a.Name+console.FileSuffix
}

// withVariable returns a flag's help with the name of its variable.
func withVariable(value *kong.Value) string {
	if value.Flag == nil || len(value.Flag.Envs) == 0 {
		return value.Help
	}
	return fmt.Sprintf("%s ($%s)", value.Help, strings.Join(value.Flag.Envs, ", $"))
}

// helpFlag shows help and ends the parsing: unlike kong's own, it does not end
// the process.
type helpFlag bool

var errHelpShown = errors.New("help was shown")

// BeforeReset is kong's hook for a flag that was given.
func (helpFlag) BeforeReset(command *kong.Context) error {
	if err := command.PrintUsage(false); err != nil {
		return err
	}
	return errHelpShown
}

// selected returns how far parsing came before it failed, nil if nowhere.
func selected(err error) *kong.Context {
	var parse *kong.ParseError
	if errors.As(err, &parse) {
		return parse.Context
	}
	return nil
}

// failUsage says what is wrong with the command line and where its help is.
func failUsage(p *console.Process, err error, command *kong.Context) int {
	name := "firjob"
	if command != nil && command.Selected() != nil {
		name = command.Selected().FullPath()
	}
	fmt.Fprintf(p.Stderr, "firjob: %v\nRun \"%s --help\" for help.\n", err, name)
	return exitUsage
}
