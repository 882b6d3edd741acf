package main

import (
	"context"
	"time"

	"github.com/firjob/firjob/lab/bench"
)

type herdCmd struct {
	Jobs       int           `default:"100000" help:"Jobs that are due at one instant. Default: ${default}."`
	Background int           `default:"200" help:"Executions a second of other jobs. Default: ${default}."`
	Lead       time.Duration `default:"0s" help:"From the making of the first job to the instant; 0s: enough for a slow machine."`
	benchFlags
}

// Help says what is measured.
func (herdCmd) Help() string {
	return "Makes the jobs by batches through the API and shows, counted from their instant, when the first and the\n" +
		"last of them has started, and the lateness of other jobs meanwhile. --duration and --warmup do not count " +
		"here.\n\n" +
		"Example:\n  firjob-lab bench herd --jobs 100000"
}

// Run measures and prints.
func (c *herdCmd) Run(ctx context.Context, p *process) error {
	return measure(ctx, p, &c.benchFlags, 1, bench.MeasureHerd,
		bench.Herd{Jobs: c.Jobs, Lead: c.Lead, Background: c.Background})
}

type definitionsCmd struct {
	Jobs int `default:"100000" help:"Jobs that are stored. Default: ${default}."`
	Base int `default:"10000" help:"Jobs of the cluster that it is compared with. Default: ${default}."`
	Rate int `default:"1000" help:"Executions due each second. Default: ${default}."`
	Asks int `default:"50" help:"How often each page of the API is asked for. Default: ${default}."`
	benchFlags
}

// Help says what is measured.
func (definitionsCmd) Help() string {
	return "Stores the jobs past the API, their next fires spread over a year, and lets some of them, " +
		"scattered among\n" +
		"the others, become due at the rate. What a due job costs is told for --base jobs, for --jobs, and as the\n" +
		"ratio of the two.\n\nExample:\n  firjob-lab bench definitions --jobs 1000000"
}

// Run measures and prints.
func (c *definitionsCmd) Run(ctx context.Context, p *process) error {
	return measure(ctx, p, &c.benchFlags, 1, bench.MeasureDefinitions,
		bench.Definitions{Jobs: c.Jobs, Base: c.Base, Rate: c.Rate, Asks: c.Asks})
}

type benchHistory struct {
	Executions int           `default:"1000000" help:"Executions of the past. Default: ${default}."`
	Days       int           `default:"30" help:"Over which they are spread. Default: ${default}."`
	Rate       int           `default:"4000" help:"Executions due each second. Default: ${default}."`
	Interval   time.Duration `default:"250ms" help:"Of each job. Default: ${default}."`
	benchFlags
}

// Help says what is measured.
func (benchHistory) Help() string {
	return "Runs the same load without and with executions of the past, which it stores past the API, then " +
		"drops the\n" +
		"oldest day while the load goes on and shows the longest time in which nothing started.\n\n" +
		"Example:\n  firjob-lab bench history --executions 10000000"
}

// Run measures and prints.
func (c *benchHistory) Run(ctx context.Context, p *process) error {
	return measure(ctx, p, &c.benchFlags, 1, bench.MeasureHistory,
		bench.History{Steady: bench.Steady{Rate: c.Rate, Interval: c.Interval}, Executions: c.Executions, Days: c.Days})
}

type recoveryCmd struct {
	Rate     int           `default:"100" help:"Executions due each second. Default: ${default}."`
	Interval time.Duration `default:"1s" help:"Of each job. Default: ${default}."`
	Hold     time.Duration `default:"500ms" help:"How long each handler runs. Default: ${default}."`
	Kills    int           `default:"5" help:"Of executors, and as many of servers. Default: ${default}."`
	Down     time.Duration `default:"10s" help:"How long a process stays dead; the longest recovery that can be seen. Default: ${default}."`
	benchFlags
}

// Help says what is measured.
func (recoveryCmd) Help() string {
	return "Kills executors and servers in turn, as kill -9 does, and starts them again. The recovery of a " +
		"kill is the\n" +
		"longest time from it, or from the scheduled instant if that is later, to the start of the handler that\n" +
		"brought an execution to its end. --duration does not count here.\n\nExample:\n" +
		"  firjob-lab bench recovery --kills 10"
}

// Run measures and prints.
func (c *recoveryCmd) Run(ctx context.Context, p *process) error {
	return measure(ctx, p, &c.benchFlags, 2, bench.MeasureRecovery,
		bench.Recovery{Rate: c.Rate, Interval: c.Interval, Hold: c.Hold, Kills: c.Kills, Down: c.Down})
}

type benchAPICmd struct {
	Callers      int `default:"8" help:"Callers at a time, of the requests for single jobs and triggers. Default: ${default}."`
	BatchCallers int `default:"2" help:"Callers at a time, of batches. Default: ${default}."`
	Batch        int `default:"10000" help:"Jobs or triggers in a batch. Default: ${default}."`
	Batches      int `default:"3" help:"Batches of each kind. Default: ${default}."`
	benchFlags
}

// Help says what is measured.
func (benchAPICmd) Help() string {
	return "Makes single jobs for --duration, then triggers them one by one for as long, then makes batches of " +
		"jobs and\n" +
		"of triggers. Each caller asks one of the servers itself, not through a load balancer.\n" +
		"Everything that was accepted is looked for in the database.\n\nExample:\n  firjob-lab bench api --callers 16"
}

// Run measures and prints.
func (c *benchAPICmd) Run(ctx context.Context, p *process) error {
	return measure(ctx, p, &c.benchFlags, 1, bench.MeasureAPI,
		bench.API{Callers: c.Callers, BatchCallers: c.BatchCallers, Batch: c.Batch, Batches: c.Batches})
}

type idleCmd struct {
	Jobs int `default:"10000" help:"Paused jobs. Default: ${default}."`
	benchFlags
}

// Help says what is measured.
func (idleCmd) Help() string {
	return "Example:\n  firjob-lab bench idle --duration 60s --scan-interval 10s --horizon 60s"
}

// Run measures and prints.
func (c *idleCmd) Run(ctx context.Context, p *process) error {
	return measure(ctx, p, &c.benchFlags, 1, bench.MeasureIdle, bench.Idle{Jobs: c.Jobs})
}
