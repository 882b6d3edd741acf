package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// faultOptions are the flags of faults.
type faultOptions struct {
	settings
	systems     string
	experiments string
	appendfsync string
	firjob      string
	output      string
	verbose     bool
}

// row is one line of the table.
type row struct {
	System     string `json:"system"`
	Experiment string `json:"experiment"`
	Apt        string `json:"not_applicable,omitempty"`
	Error      string `json:"error,omitempty"`
	outcome
}

// report is what faults prints as JSON.
type report struct {
	CPUs     int         `json:"cpus"`
	Took     string      `json:"took"`
	Systems  []contender `json:"systems"`
	Settings []string    `json:"settings"`
	Rows     []row       `json:"rows"`
}

func (o *faultOptions) flags() *flag.FlagSet {
	set := flag.NewFlagSet("faults", flag.ContinueOnError)
	set.StringVar(&o.systems, "systems", "", "only these, by comma: fir-job, asynq, asynq-taskid, river")
	set.StringVar(&o.experiments, "experiments", "", "only these, by comma: E1, E2, E2r, E3, E4, E5, E6, E7")
	set.IntVar(&o.kills, "kills", 30, "E1: how often a scheduler is killed")
	set.DurationVar(&o.spacing, "spacing", 40*time.Second, "E1: between two kills; a multiple of 5s")
	set.DurationVar(&o.restart, "restart", 100*time.Millisecond, "E1, E7: from a kill to the next start")
	set.DurationVar(&o.stall, "stall", 10*time.Second, "E2: how long a store stands still")
	set.IntVar(&o.jobs, "jobs", 1000, "E3: jobs at one instant")
	set.IntVar(&o.several, "schedulers", 3, "E3: schedulers")
	set.IntVar(&o.flushed, "flushed", 20, "E4: delayed tasks that wait when Redis is emptied")
	set.IntVar(&o.inFlight, "running", 10, "E5, E7: tasks that run when the worker is hurt")
	set.IntVar(&o.rounds, "rounds", 10, "E6: results after which is killed")
	set.DurationVar(&o.patience, "patience", 240*time.Second, "E5, E7: how long a re-run is waited for")
	set.DurationVar(&o.settleTime, "settle", 150*time.Second, "how long work may take to end when the span is over")
	set.StringVar(&o.appendfsync, "appendfsync", "everysec", "of every Redis: everysec, as it comes, or always")
	set.StringVar(&o.firjob, "firjob", "", "the fir-job program; built from the tree around this module if empty")
	set.StringVar(&o.output, "o", "text", "text or json")
	set.BoolVar(&o.verbose, "v", false, "show what the processes say")
	return set
}

// say tells on standard error how things go.
func (o *faultOptions) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s "+format+"\n", append([]any{time.Now().Format(time.TimeOnly)}, args...)...)
}

func (o *faultOptions) processOutput() io.Writer {
	if o.verbose {
		return os.Stderr
	}
	return io.Discard
}

func faultsCommand(ctx context.Context, args []string) error {
	var o faultOptions
	if err := o.flags().Parse(args); err != nil {
		return err
	}
	systems, list, err := o.chosen()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "firjob-peers-build-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if o.firjob == "" {
		if o.firjob, err = buildFirjob(ctx, dir); err != nil {
			return err
		}
	}
	began := time.Now()
	result := report{CPUs: runtime.GOMAXPROCS(0), Systems: systems, Settings: o.described()}
	for _, e := range list {
		for _, c := range systems {
			result.Rows = append(result.Rows, o.once(ctx, e, c))
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
		}
	}
	result.Took = time.Since(began).Round(time.Second).String()
	if o.output == "json" {
		encoder := json.NewEncoder(os.Stdout)
		encoder.SetIndent("", "  ")
		return encoder.Encode(result)
	}
	return result.print(os.Stdout, list)
}

// once runs one experiment on one system.
func (o *faultOptions) once(ctx context.Context, e experiment, c contender) row {
	r := row{System: c.Name, Experiment: e.Name}
	if e.apt != nil {
		r.Apt = e.apt(c)
	}
	if r.Apt != "" {
		return r
	}
	o.say("%s, %s: %s", e.Name, c.Name, e.Title)
	var err error
	if r.outcome, err = runExperiment(ctx, e, c, o); err != nil {
		r.Error = err.Error()
		o.say("%s, %s: %v", e.Name, c.Name, err)
	}
	return r
}

// chosen are the systems and the experiments that the flags name.
func (o *faultOptions) chosen() (systems []contender, list []experiment, err error) {
	systems = slices.DeleteFunc(contenders(), func(c contender) bool { return !named(o.systems, c.slug()) })
	list = slices.DeleteFunc(experiments(), func(e experiment) bool { return !named(o.experiments, e.Name) })
	switch {
	case len(systems) == 0 || len(list) == 0:
		err = fmt.Errorf("no such system or experiment: -systems %q -experiments %q", o.systems, o.experiments)
	case o.output != "text" && o.output != "json":
		err = fmt.Errorf("-o %q: want text or json", o.output)
	case o.spacing <= 0 || o.spacing%(5*time.Second) != 0:
		err = fmt.Errorf("-spacing %v: want a multiple of 5s", o.spacing)
	}
	return systems, list, err
}

// slug is the contender's name as flags take it.
func (c contender) slug() string {
	return strings.ToLower(strings.ReplaceAll(c.Name, ", ", "-"))
}

// named reports whether a list of names, by comma, holds one; an empty list holds all.
func named(list, name string) bool {
	if list == "" {
		return true
	}
	return slices.ContainsFunc(strings.Split(list, ","),
		func(s string) bool { return strings.EqualFold(strings.TrimSpace(s), name) })
}

// described are the settings in words.
func (o *faultOptions) described() []string {
	return []string{
		fmt.Sprintf("E1: %d kills, %v apart, started again after %v", o.kills, o.spacing, o.restart),
		fmt.Sprintf("E2, E2r: a stall of %v, a fire each second", o.stall),
		fmt.Sprintf("E3: %d jobs, %d schedulers", o.jobs, o.several),
		fmt.Sprintf("E4: %d delayed tasks, a fire each 5s", o.flushed),
		fmt.Sprintf("E5, E7: %d tasks of %v at work, patience %v", o.inFlight, inFlightWork, o.patience),
		fmt.Sprintf("E6: %d results", o.rounds),
		fmt.Sprintf("Redis with its append-only file (appendfsync %s) and noeviction; Postgres with fsync and "+
			"synchronous commit", o.appendfsync),
	}
}

// print writes the table of each experiment, then what the systems are.
func (r report) print(out io.Writer, list []experiment) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, e := range list {
		fmt.Fprintf(table, "%s  %s\n", e.Name, e.Title)
		fmt.Fprintln(table, "\tsystem\texpected\tmissed\tdoubled\tearly\tre-run\tstuck\topen\tworst late\tto re-run\t")
		for _, row := range r.Rows {
			if row.Experiment == e.Name {
				fmt.Fprintln(table, row.text())
			}
		}
	}
	fmt.Fprintln(table)
	if err := table.Flush(); err != nil {
		return err
	}
	for _, c := range r.Systems {
		fmt.Fprintf(out, "%s %s\n", c.Name, c.Version)
		for _, s := range c.Settings {
			fmt.Fprintln(out, "  "+s)
		}
		fmt.Fprintln(out, "  "+c.Promise)
	}
	_, err := fmt.Fprintf(out, "%s\n%d CPUs, took %s\n", strings.Join(r.Settings, "\n"), r.CPUs, r.Took)
	return err
}

// text is the row as a line of the table.
func (r row) text() string {
	switch {
	case r.Apt != "":
		return fmt.Sprintf("\t%s\tn/a\t\t\t\t\t\t\t\t\t%s", r.System, r.Apt)
	case r.Error != "":
		return fmt.Sprintf("\t%s\tfailed\t\t\t\t\t\t\t\t\t%s", r.System, r.Error)
	}
	again := "-"
	if r.Rerun > 0 {
		again = fmt.Sprintf("%.1f-%.1f s", r.RerunFrom.Seconds(), r.RerunTo.Seconds())
	}
	return fmt.Sprintf("\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%.2f s\t%s\t%s", r.System, r.Expected, r.Missed, r.Doubled,
		r.Early, r.Rerun, r.Stuck, r.Open, r.WorstLate.Seconds(), again, r.Note)
}
