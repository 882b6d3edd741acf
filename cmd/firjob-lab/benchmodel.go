package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/lab/capacity"
)

// modelCmd plans an installation from what one execution was measured to cost.
// It starts nothing.
type modelCmd struct {
	Rate         capacity.Count  `required:"" placeholder:"N" help:"Executions a second, such as 2500 or 100k."`
	Jobs         *capacity.Count `placeholder:"N" help:"Jobs, such as 10M. Default: as many as the rate, as if each fired once a second."`
	Retention    capacity.Span   `default:"30d" help:"How long executions are kept. Default: ${default}."`
	Payload      capacity.Bytes  `default:"1KB" help:"Params of a job, sent with each trigger. Default: ${default}."`
	Result       capacity.Bytes  `default:"0B" help:"Result that is stored with each execution. Default: ${default}."`
	HandlerTime  capacity.Span   `name:"handler-time" default:"50ms" help:"Of one execution. Default: ${default}."`
	HandlerCPU   capacity.Span   `name:"handler-cpu" default:"0s" help:"What of it a core is kept busy. Default: ${default}."`
	Input        string          `placeholder:"FILE" help:"A measurement of your machine: what bench throughput -o json wrote; - reads standard input. Default: one that was recorded."`
	Spare        int             `default:"1" help:"Machines of each kind that may be lost. Default: ${default}."`
	Use          float64         `default:"0.6" help:"Share of a core that is planned for. Default: ${default}."`
	Horizon      capacity.Span   `default:"60s" help:"FIRJOB_HORIZON. Default: ${default}."`
	ScanInterval capacity.Span   `name:"scan-interval" default:"10s" help:"FIRJOB_SCAN_INTERVAL. Default: ${default}."`
	LeaseTTL     capacity.Span   `name:"lease-ttl" default:"10s" help:"FIRJOB_LEASE_TTL. Default: ${default}."`
	modelMachines
	outputFlag
}

// modelMachines are what the installation is to be made of.
type modelMachines struct {
	ServerCores     int            `name:"server-cores" default:"4" help:"Cores of one server. Default: ${default}."`
	ExecutorCores   int            `name:"executor-cores" default:"4" help:"Cores of one executor. Default: ${default}."`
	PostgresCores   int            `name:"postgres-cores" default:"64" help:"Cores of the biggest machine for one Postgres. Default: ${default}."`
	PostgresWAL     capacity.Bytes `name:"postgres-wal" default:"500MB" help:"WAL that its disk writes in a second. Default: ${default}."`
	PostgresDisk    capacity.Bytes `name:"postgres-disk" default:"30TB" help:"Its disk. Default: ${default}."`
	PostgresNetwork capacity.Bytes `name:"postgres-network" default:"1250MB" help:"What its network carries in a second. Default: ${default}."`
}

// Help says what the plan is worth.
func (modelCmd) Help() string {
	return "Starts nothing: it multiplies the load by what one execution was measured to cost, and divides by the\n" +
		"machines. Measure your own first; the limits of Postgres's machine are assumptions, give yours.\n" +
		"docs/scaling.md says what the numbers mean.\n\nExamples:\n" +
		"  firjob-lab bench model --rate 100k --jobs 10M --retention 5d\n" +
		"  firjob-lab bench throughput -o json | firjob-lab bench model --rate 100k --jobs 10M --input -"
}

// Run makes the plan and prints it.
func (c *modelCmd) Run(p *process, out *output) error {
	costs, err := c.costs(p)
	if err != nil {
		return err
	}
	plan, err := capacity.Make(c.load(), costs)
	if err != nil {
		return usageError{err}
	}
	answer, err := json.Marshal(plan)
	if err != nil {
		return fmt.Errorf("write the plan: %w", err)
	}
	return out.show(answer, func(out *output) { showPlan(out, plan) })
}

func (c *modelCmd) costs(p *process) (capacity.Costs, error) {
	if c.Input == "" {
		return capacity.Recorded(), nil
	}
	text, err := p.readFile(c.Input)
	if err != nil {
		return capacity.Costs{}, fmt.Errorf("read the measurement: %w", err)
	}
	name := c.Input
	if name == "-" {
		name = "standard input"
	}
	costs, err := capacity.ReadCosts(bytes.NewReader(text), name)
	if err != nil {
		return costs, usageError{err}
	}
	return costs, nil
}

func (c *modelCmd) load() capacity.Load {
	jobs := c.Rate
	if c.Jobs != nil {
		jobs = *c.Jobs
	}
	return capacity.Load{
		Rate: c.Rate, Jobs: jobs, Retention: c.Retention, Params: c.Payload, Result: c.Result,
		HandlerTime: c.HandlerTime, HandlerCPU: c.HandlerCPU, Horizon: c.Horizon, ScanInterval: c.ScanInterval,
		Lease: c.LeaseTTL,
		Spare: c.Spare, Use: c.Use, ServerCores: c.ServerCores, ExecutorCores: c.ExecutorCores,
		Limits: capacity.Limits{Cores: c.PostgresCores, WAL: c.PostgresWAL, Disk: c.PostgresDisk,
			Network: c.PostgresNetwork},
	}
}

func showPlan(out *output, plan capacity.Plan) {
	l, cpu := plan.Load, plan.Costs.CPU
	out.line("%s executions/s of %s jobs, kept %v; payload %s, result %s, handlers %v", short(float64(l.Rate)),
		short(float64(l.Jobs)),
		days(l.Retention), short(float64(l.Params))+"B", short(float64(l.Result))+"B", firjob.Duration(l.HandlerTime))
	out.line("CPU of one execution: Postgres %.1f µs, Redis %.1f, servers %.1f, executors %.1f", cpu.Postgres,
		cpu.Redis, cpu.Servers, cpu.Executors)
	out.line("from %s", plan.Costs.Source)
	part := ""
	for _, line := range plan.Lines {
		shown := line.Part
		if shown == part {
			shown = " "
		}
		part = line.Part
		out.row(shown, line.Name, short(line.Value)+line.Unit, line.From)
	}
	out.line("")
	out.line("What is full first:")
	for _, f := range plan.Fills {
		out.row(" ", f.Part, short(f.Rate)+"/s",
			fmt.Sprintf("%s%% of it used; then: %s", strings.TrimSpace(short(100*f.Share)), f.Then))
	}
	out.line("")
	t := plan.Topology
	out.line("Choose: %s (primaries: %d, standbys: %d). %s.", t.Kind, t.Primaries, t.Standbys,
		strings.ToUpper(t.Why[:1])+t.Why[1:])
}

// short writes a number with at most three digits that count, and a prefix of SI.
func short(v float64) string {
	prefix := ""
	for _, next := range []string{"k", "M", "G", "T", "P"} {
		if v < 999.5 {
			break
		}
		v, prefix = v/1000, next
	}
	switch {
	case v == math.Trunc(v), v >= 99.95:
		return fmt.Sprintf("%.0f %s", v, prefix)
	case v >= 9.995:
		return fmt.Sprintf("%.1f %s", v, prefix)
	}
	return fmt.Sprintf("%.2f %s", v, prefix)
}

// days writes a span in days if it is whole ones.
func days(s capacity.Span) string {
	const day = 24 * time.Hour
	if d := time.Duration(s); d%day != 0 {
		return firjob.Duration(d).String()
	}
	return fmt.Sprintf("%dd", time.Duration(s)/day)
}
