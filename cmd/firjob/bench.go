package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"runtime"
	"strconv"
	"time"

	"github.com/firjob/firjob/internal/cluster"
)

// benchCmd measures a cluster that it starts on this machine, from its records.
type benchCmd struct {
	Throughput throughputCmd `cmd:"" help:"Executions a second the whole way: plan, announce, claim, commit, send, handler, callback, commit."`
	Lateness   latenessCmd   `cmd:"" help:"How long after their instant handlers start, by the executor's own clock."`
}

// benchFlags are common to the benchmarks.
type benchFlags struct {
	Duration time.Duration `default:"20s" help:"Measured span. Default: ${default}."`
	Warmup   time.Duration `default:"8s" help:"Before it. Default: ${default}."`
	Runs     int           `default:"1" help:"Repetitions, each on a new cluster. Default: ${default}."`
	Servers  int           `default:"1" help:"Servers. Default: ${default}."`
	Workers  int           `default:"1" help:"Executors. Default: ${default}."`
	Yes      bool          `short:"y" help:"Fetch Postgres without asking where there is none."`
	Verbose  bool          `help:"Show what the processes say."`
	outputFlag
	storeFlags
}

type throughputCmd struct {
	Rate     int           `default:"12000" help:"Executions due each second. Default: ${default}."`
	Interval time.Duration `default:"250ms" help:"Of each job. Default: ${default}."`
	benchFlags
}

// Help says what is measured.
func (throughputCmd) Help() string {
	return "Postgres runs with fsync and synchronous commit on. Every execution is counted in the database\n" +
		"afterwards: recorded once, finished, none lost, doubled or early.\n\nExample:\n  firjob bench throughput --rate 12000"
}

// Run measures and prints.
func (c *throughputCmd) Run(ctx context.Context, p *process) error {
	return c.measure(ctx, p, load{handler: "noop", rate: c.Rate, interval: c.Interval})
}

type latenessCmd struct {
	Rate     int           `default:"1000" help:"Executions due each second. Default: ${default}."`
	Interval time.Duration `default:"1s" help:"Of each job. Default: ${default}."`
	benchFlags
}

// Help says what is measured.
func (latenessCmd) Help() string {
	return "The handler itself compares its clock with its scheduled time and returns the difference.\n\n" +
		"Example:\n  firjob bench lateness --rate 1000"
}

// Run measures and prints.
func (c *latenessCmd) Run(ctx context.Context, p *process) error {
	return c.measure(ctx, p, load{handler: "lateness", rate: c.Rate, interval: c.Interval})
}

// measurement is the outcome of one run.
type measurement struct {
	ExecutionsPerSecond float64            `json:"executions_per_second"`
	Offered             float64            `json:"offered_per_second"`
	CPUPerExecution     float64            `json:"cpu_us_per_execution"`
	CPUSeconds          map[string]float64 `json:"cpu_seconds"`
	LatenessMS          map[string]float64 `json:"lateness_ms"`
	Early               int64              `json:"early"`
	Lost                int64              `json:"lost"`
	Doubled             int64              `json:"doubled"`
	Repeated            int64              `json:"repeated_attempts"`
	RSSMB               map[string]float64 `json:"rss_mb"`
	Executions          int64              `json:"executions"`
	Seconds             float64            `json:"seconds"`
	CPUs                int                `json:"cpus"`
}

// measure does the runs and prints each, then says whether the records hold.
func (c *benchFlags) measure(ctx context.Context, p *process, l load) error {
	var runs []measurement
	for i := range c.Runs {
		fmt.Fprintf(p.stderr, "run %d of %d: starting a cluster of %d server(s) and %d executor(s)\n", i+1, c.Runs, c.Servers, c.Workers)
		m, err := c.once(ctx, p, l)
		if err != nil {
			return err
		}
		runs = append(runs, m)
		if err := c.print(p, m); err != nil {
			return err
		}
	}
	if len(runs) > 1 && c.Output != "json" {
		low, high := math.Inf(1), 0.0
		for _, m := range runs {
			low, high = min(low, m.ExecutionsPerSecond), max(high, m.ExecutionsPerSecond)
		}
		fmt.Fprintf(p.stdout, "%d runs: %.0f to %.0f executions/s\n", len(runs), low, high)
	}
	for _, m := range runs {
		if m.Lost > 0 || m.Doubled > 0 || m.Early > 0 {
			return fmt.Errorf("the records do not hold: %d lost, %d doubled, %d early", m.Lost, m.Doubled, m.Early)
		}
	}
	return nil
}

func (c *benchFlags) print(p *process, m measurement) error {
	if c.Output == "json" {
		encoder := json.NewEncoder(p.stdout)
		encoder.SetIndent("", "  ")
		return encoder.Encode(m)
	}
	_, err := fmt.Fprintf(p.stdout, "%9.0f executions/s the whole way (offered %.0f), %d in %.1f s on %d CPUs\n"+
		"          lateness ms: p50 %.2f  p99 %.2f  p99.9 %.2f  max %.2f\n"+
		"          early %d  lost %d  doubled %d  repeated attempts %d\n"+
		"          CPU %.1f µs/execution: %s\n          RSS MB: %s\n",
		m.ExecutionsPerSecond, m.Offered, m.Executions, m.Seconds, m.CPUs,
		m.LatenessMS["p50"], m.LatenessMS["p99"], m.LatenessMS["p999"], m.LatenessMS["max"],
		m.Early, m.Lost, m.Doubled, m.Repeated, m.CPUPerExecution, named(m.CPUSeconds, "%.1fs"), named(m.RSSMB, "%.0f"))
	return err
}

// once starts a cluster, loads it, and measures.
func (c *benchFlags) once(ctx context.Context, p *process, l load) (m measurement, err error) {
	dir, err := os.MkdirTemp("", "firjob-bench-")
	if err != nil {
		return m, err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // Postgres drops to another user
		return m, err
	}
	options := cluster.Options{
		Stores:    cluster.Stores{DatabaseURL: c.DatabaseURL, RedisURL: c.RedisURL, Dir: dir, Fetch: c.Yes, Progress: p.stderr},
		Servers:   c.Servers,
		Workers:   c.Workers,
		ServerEnv: []string{"FIRJOB_LOG_LEVEL=warn", "FIRJOB_HORIZON=6s", "FIRJOB_SCAN_INTERVAL=1s"},
		WorkerEnv: []string{"FIRJOB_LOG_LEVEL=warn", "FIRJOB_CONCURRENCY=64", "FIRJOB_QUEUE=" + strconv.Itoa(16*1024)},
		Output: func(process, line string) {
			if c.Verbose {
				fmt.Fprintln(p.stderr, process, line)
			}
		},
	}
	stack, err := cluster.Start(ctx, options)
	if err != nil {
		return m, err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		if stopErr := stack.Stop(ctx); err == nil {
			err = stopErr
		}
	}()
	b := &bench{stack: stack, p: p, load: l}
	m, err = b.run(ctx, c.Warmup, c.Duration)
	m.CPUs = runtime.GOMAXPROCS(0)
	return m, err
}
