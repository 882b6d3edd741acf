package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/firjob/firjob/lab/bench"
)

// benchCmd measures clusters that it starts on this machine, from their records.
type benchCmd struct {
	Throughput  throughputCmd  `cmd:"" help:"Executions a second the whole way: plan, announce, claim, commit, send, handler, callback, commit."`
	Lateness    latenessCmd    `cmd:"" help:"How long after their instant handlers start, by the executor's own clock."`
	Herd        herdCmd        `cmd:"" help:"How soon many jobs that are due at one instant have started, and what becomes of others meanwhile."`
	Definitions definitionsCmd `cmd:"" help:"What a due job costs among many that are not due, and how long pages of the API take."`
	History     benchHistory   `cmd:"" help:"What a load costs beside executions of the past, and what dropping a day of them does to it."`
	Recovery    recoveryCmd    `cmd:"" help:"How soon the work of an executor or a server that was killed runs elsewhere."`
	API         benchAPICmd    `cmd:"" name:"api" help:"Jobs and triggers that the API takes each second, one by one and in batches."`
	Idle        idleCmd        `cmd:"" help:"What a cluster costs that has jobs and nothing to do."`
	Model       modelCmd       `cmd:"" help:"What a load needs of machines, by arithmetic from a measurement."`
}

// benchFlags are common to the benchmarks.
type benchFlags struct {
	Duration     time.Duration     `default:"20s" help:"Measured span. Default: ${default}."`
	Warmup       time.Duration     `default:"8s" help:"Before it, from the first fires on. Default: ${default}."`
	Runs         int               `default:"1" help:"Repetitions, each on a new cluster; medians and ranges are shown. Default: ${default}."`
	Servers      int               `help:"Servers. Default: 1; of recovery 2."`
	Workers      int               `help:"Executors. Default: 1; of recovery 2."`
	Concurrency  int               `default:"64" help:"Handlers that run at a time in an executor. Default: ${default}."`
	Queue        int               `default:"16384" help:"Executions that may wait in an executor. Default: ${default}."`
	Horizon      time.Duration     `default:"6s" help:"How far ahead fires are recorded; shorter than a server's default, so that the warm-up can be short. Default: ${default}."`
	ScanInterval time.Duration     `name:"scan-interval" default:"1s" help:"Between scans for jobs that are soon due. Default: ${default}."`
	Postgres     map[string]string `mapsep:"," placeholder:"NAME=VALUE" help:"Setting of the private Postgres, as in shared_buffers=2GB. May be repeated; what makes commits durable cannot be set."`
	ServerEnv    []string          `name:"server-env" sep:"none" placeholder:"NAME=VALUE" help:"Variable of every server, as in FIRJOB_SHARDS=16. May be repeated."`
	WorkerEnv    []string          `name:"worker-env" sep:"none" placeholder:"NAME=VALUE" help:"Variable of every executor. May be repeated."`
	Yes          bool              `short:"y" help:"Fetch Postgres without asking where there is none."`
	Verbose      bool              `help:"Show what the processes say."`
	outputFlag
	storeFlags
}

// options are those of the flags; processes is how many servers and executors run
// unless a flag says so.
func (c *benchFlags) options(p *process, processes int) (bench.Options, error) {
	for _, variable := range append(append([]string{}, c.ServerEnv...), c.WorkerEnv...) {
		if name, _, ok := strings.Cut(variable, "="); !ok || name == "" {
			return bench.Options{}, usagef("--server-env and --worker-env take NAME=VALUE, not %q", variable)
		}
	}
	o := bench.Options{
		DatabaseURL: c.DatabaseURL, RedisURL: c.RedisURL, Fetch: c.Yes, Postgres: c.Postgres,
		ServerEnv: c.ServerEnv, WorkerEnv: c.WorkerEnv, Servers: c.Servers, Workers: c.Workers,
		Concurrency: c.Concurrency, Queue: c.Queue, Horizon: c.Horizon, ScanInterval: c.ScanInterval,
		Runs: c.Runs, Warmup: c.Warmup, Duration: c.Duration,
	}
	if o.Servers == 0 {
		o.Servers = processes
	}
	if o.Workers == 0 {
		o.Workers = processes
	}
	began := p.now()
	o.Progress = func(line string) {
		fmt.Fprintf(p.stderr, "%6.1fs %s\n", p.now().Sub(began).Seconds(), strings.TrimRight(line, "\n"))
	}
	if c.Verbose {
		o.Output = func(process, line string) { fmt.Fprintln(p.stderr, process, line) }
	}
	return o, nil
}

// measure runs a benchmark, prints its report and says whether the records hold.
func measure[C any](ctx context.Context, p *process, c *benchFlags, processes int,
	run func(context.Context, bench.Options, C) (*bench.Report, error), load C) error {
	o, err := c.options(p, processes)
	if err != nil {
		return err
	}
	report, err := run(ctx, o, load)
	if err != nil {
		return err
	}
	report.Version = programVersion()
	if c.Output == "json" {
		text, err := json.Marshal(report)
		if err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
		err = c.ProvideOutput(p).writeJSON(text)
		if err != nil {
			return err
		}
	} else if err := showReport(p.stdout, report); err != nil {
		return err
	}
	if !report.Holds() {
		return fmt.Errorf("the records do not hold: %d lost, %d doubled, %d early", report.Lost, report.Doubled,
			report.Early)
	}
	return nil
}

// rate is a number of executions a second, or the highest that is kept up with,
// which is 0.
type rate int

// UnmarshalText reads a number or "max".
func (r *rate) UnmarshalText(text []byte) error {
	if string(text) == "max" {
		*r = 0
		return nil
	}
	n, err := strconv.Atoi(string(text))
	if err != nil || n < 1 {
		return fmt.Errorf("want executions a second, 1 or more, or max, not %q", text)
	}
	*r = rate(n)
	return nil
}

type throughputCmd struct {
	Rate        rate          `default:"12000" placeholder:"N|max" help:"Executions due each second; max looks for the highest that is kept up with. Default: ${default}."`
	Interval    time.Duration `default:"250ms" help:"Of each job. Default: ${default}."`
	From        int           `default:"2000" help:"With --rate max: the first rate that is tried. Default: ${default}."`
	Precision   float64       `default:"0.05" help:"With --rate max: ends when what failed is this share above what held. Default: ${default}."`
	MaxLateness time.Duration `name:"max-lateness" default:"500ms" help:"With --rate max: p99 of a rate that is kept up with. Default: ${default}."`
	benchFlags
}

// Help says what is measured.
func (throughputCmd) Help() string {
	return "Postgres runs with fsync and synchronous commit on. Every execution is counted in the database\n" +
		"afterwards: recorded once, finished, none lost, doubled or early. A rate is kept up with if 99 % of what\n" +
		"is due within the span ends within it and the p99 of the lateness is bounded. With max, brief steps find\n" +
		"the neighbourhood, and steps of the whole --warmup and --duration the rate.\n\n" +
		"Examples:\n  firjob-lab bench throughput --rate 12000\n" +
		"  firjob-lab bench throughput --rate max --servers 2 --workers 2"
}

// Run measures and prints.
func (c *throughputCmd) Run(ctx context.Context, p *process) error {
	if c.Rate == 0 {
		return measure(ctx, p, &c.benchFlags, 1, bench.MaxThroughput,
			bench.Search{Interval: c.Interval, From: c.From, Precision: c.Precision, MaxLateness: c.MaxLateness})
	}
	return measure(ctx, p, &c.benchFlags, 1, bench.Throughput, bench.Steady{Rate: int(c.Rate), Interval: c.Interval})
}

type latenessCmd struct {
	Rate     int           `default:"1000" help:"Executions due each second. Default: ${default}."`
	Interval time.Duration `default:"1s" help:"Of each job. Default: ${default}."`
	benchFlags
}

// Help says what is measured.
func (latenessCmd) Help() string {
	return "The handler itself compares its clock with its scheduled time and returns the difference.\n\n" +
		"Example:\n  firjob-lab bench lateness --rate 1000"
}

// Run measures and prints.
func (c *latenessCmd) Run(ctx context.Context, p *process) error {
	return measure(ctx, p, &c.benchFlags, 1, bench.Lateness, bench.Steady{Rate: c.Rate, Interval: c.Interval})
}
