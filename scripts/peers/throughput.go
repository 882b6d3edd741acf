package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/firjob/firjob/scripts/peers/judge"
)

// throughputOptions are the flags of throughput.
type throughputOptions struct {
	span    time.Duration
	warmup  time.Duration
	repeats int
	offered int
	delayed int
	firjob  string
	output  string
	verbose bool
}

// speed is what one run of one system measured.
type speed struct {
	System    string  `json:"system"`
	Repeat    int     `json:"repeat"`
	PerSecond float64 `json:"executions_per_second"`
	MicrosCPU float64 `json:"cpu_us_per_execution"`
	LateP50   float64 `json:"delayed_late_p50_ms"`
	LateP99   float64 `json:"delayed_late_p99_ms"`
	Early     int     `json:"delayed_early"`
	Note      string  `json:"note,omitempty"`
}

// flat is a system as throughput measures it.
type flat struct {
	name    string
	measure func(ctx context.Context, o *throughputOptions) (speed, error)
}

// throughputSystems are fir-job first, then each peer on one worker, one
// producer and, where delayed tasks need one, one scheduler.
func throughputSystems() []flat {
	list := []flat{{"fir-job", measureFirjob}}
	for _, c := range contenders() {
		producer := map[string]string{"asynq": "asynq-producer", "River": "river-producer"}[c.Name]
		if producer == "" {
			continue
		}
		list = append(list, flat{c.Name, func(ctx context.Context, o *throughputOptions) (speed, error) {
			return measurePeer(ctx, o, c, producer)
		}})
	}
	return list
}

func throughputCommand(ctx context.Context, args []string) error {
	var o throughputOptions
	set := flag.NewFlagSet("throughput", flag.ContinueOnError)
	set.DurationVar(&o.span, "duration", 10*time.Second, "measured span of each run, 5s or more")
	set.DurationVar(&o.warmup, "warmup", 8*time.Second, "before it")
	set.IntVar(&o.repeats, "repeats", 3, "runs of each system, in turn")
	set.IntVar(&o.offered, "rate", 12000, "fir-job: executions due each second")
	set.IntVar(&o.delayed, "delayed", 500, "delayed tasks due each second, for the lateness")
	set.StringVar(&o.firjob, "firjob", "", "the fir-job program; built from the tree around this module if empty")
	set.StringVar(&o.output, "o", "text", "text or json")
	set.BoolVar(&o.verbose, "v", false, "show what the processes say")
	if err := set.Parse(args); err != nil {
		return err
	}
	if o.span < 5*time.Second || o.output != "text" && o.output != "json" {
		return fmt.Errorf("want -duration of 5s or more and -o text or json, got %v and %q", o.span, o.output)
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
	all, err := o.runs(ctx)
	if err != nil {
		return err
	}
	if o.output == "json" {
		encoder := json.NewEncoder(os.Stdout)
		encoder.SetIndent("", "  ")
		return encoder.Encode(all)
	}
	return printSpeeds(os.Stdout, all)
}

// runs are all repeats, the systems in turn, so that a machine that grows slower
// is as slow for each.
func (o *throughputOptions) runs(ctx context.Context) (all []speed, err error) {
	for i := range o.repeats {
		for _, f := range throughputSystems() {
			fmt.Fprintf(os.Stderr, "%s run %d of %d: %s\n", time.Now().Format(time.TimeOnly), i+1, o.repeats, f.name)
			s, err := f.measure(ctx, o)
			if err != nil {
				return all, fmt.Errorf("%s: %w", f.name, err)
			}
			s.System, s.Repeat = f.name, i+1
			all = append(all, s)
		}
	}
	return all, nil
}

func (o *throughputOptions) processOutput() io.Writer {
	if o.verbose {
		return os.Stderr
	}
	return io.Discard
}

// measureFirjob asks the program's own benchmarks, which count in the database.
func measureFirjob(ctx context.Context, o *throughputOptions) (s speed, err error) {
	m, err := o.firjobBench(ctx, "throughput", o.offered)
	if err != nil {
		return s, err
	}
	s.PerSecond, s.MicrosCPU = m.PerSecond, m.MicrosCPU
	if m.Lost > 0 {
		s.Note = fmt.Sprintf("%d of those offered were not done a minute later: -rate %d is above what this machine "+
			"bears now", m.Lost, o.offered)
	}
	if m, err = o.firjobBench(ctx, "lateness", o.delayed); err != nil {
		return s, err
	}
	s.LateP50, s.LateP99, s.Early = m.Lateness["p50"], m.Lateness["p99"], m.Early
	return s, nil
}

// firjobMeasurement is what firjob bench prints, as far as it is used here.
type firjobMeasurement struct {
	PerSecond float64            `json:"executions_per_second"`
	MicrosCPU float64            `json:"cpu_us_per_execution"`
	Lateness  map[string]float64 `json:"lateness_ms"`
	Early     int                `json:"early"`
	Lost      int                `json:"lost"` // or not done yet
}

// firjobBench runs one benchmark. Its exit code says whether all was done in
// time; what it measured it prints in either case.
func (o *throughputOptions) firjobBench(ctx context.Context, kind string, rate int) (m firjobMeasurement, err error) {
	cmd := exec.CommandContext(ctx, o.firjob, "bench", kind, "-o", "json",
		"--rate", fmt.Sprint(rate), "--duration", o.span.String(), "--warmup", o.warmup.String())
	cmd.Stderr = o.processOutput()
	out, failed := cmd.Output()
	if err := json.Unmarshal(out, &m); err != nil {
		return m, fmt.Errorf("firjob bench %s: %w", kind, errors.Join(failed, err))
	}
	return m, nil
}

// measurePeer lets a producer insert and a worker run as fast as they can, and
// then, on new stores, measures the lateness of delayed tasks.
func measurePeer(ctx context.Context, o *throughputOptions, c contender, producer string) (s speed, err error) {
	err = onRig(ctx, c, o, func(r *rig, system system) error {
		var err error
		s.PerSecond, s.MicrosCPU, err = burn(ctx, o, r, producer, system)
		return err
	})
	if err != nil {
		return s, err
	}
	return s, onRig(ctx, c, o, func(r *rig, system system) error { return s.lateness(ctx, o, r, system) })
}

// onRig runs do on a system that is started for it alone.
func onRig(ctx context.Context, c contender, o *throughputOptions, do func(*rig, system) error) (err error) {
	r, err := newRig(ctx, c, o.firjob, "everysec", o.processOutput())
	if err != nil {
		return err
	}
	system := c.make(size{schedulers: 1, workers: 1, tuned: true})
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		err = errors.Join(err, system.stop(ctx), r.close(ctx))
	}()
	if err := system.start(ctx, r, nil); err != nil {
		return err
	}
	return do(r, system)
}

// burn replaces the worker by one that counts, starts the producer, and reads the
// count and the processors twice.
func burn(ctx context.Context, o *throughputOptions, r *rig, producer string,
	system system) (perSecond, micros float64, err error) {
	for _, w := range system.workers() {
		if err := w.Kill(); err != nil {
			return 0, 0, err
		}
	}
	part := role{Tuned: true, Count: filepath.Join(r.dir, "count")}
	var counted []*proc
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		defer cancel()
		for _, p := range counted {
			err = errors.Join(err, p.stop(ctx))
		}
	}()
	for _, command := range []string{producer[:len(producer)-len("producer")] + "worker", producer} {
		list, err := r.processes("count-"+command, command, 1, part)
		counted = append(counted, list...)
		if err != nil {
			return 0, 0, err
		}
	}
	pids := r.pids(append(system.schedulers(), members(counted)...))
	if !passed(ctx, o.warmup) {
		return 0, 0, context.Cause(ctx)
	}
	before, beforeCPU, err := snapshot(part.Count, pids)
	if err != nil {
		return 0, 0, err
	}
	passed(ctx, o.span)
	after, afterCPU, err := snapshot(part.Count, pids)
	if err != nil || ctx.Err() != nil {
		return 0, 0, errors.Join(err, ctx.Err())
	}
	n := float64(after.n - before.n)
	if n == 0 {
		return 0, 0, errors.New("nothing was executed; -v shows what the processes say")
	}
	return n / after.at.Sub(before.at).Seconds(), (afterCPU - beforeCPU) * 1e6 / n, nil
}

func snapshot(count string, pids []int) (reading, float64, error) {
	r, err := readCount(count)
	return r, cpuSeconds(pids), err
}

// pids are those of the stores and of the members.
func (r *rig) pids(list []member) (pids []int) {
	for _, m := range list {
		pids = append(pids, m.PID())
	}
	if r.postgres != nil {
		pids = append(pids, r.postgres.PID())
	}
	if r.redis != nil {
		pids = append(pids, r.redis.PID())
	}
	return pids
}

// lateness spreads delayed tasks over the span and compares their starts with
// their instants.
func (s *speed) lateness(ctx context.Context, o *throughputOptions, r *rig, system system) error {
	list := make([]task, int(float64(o.delayed)*o.span.Seconds()))
	first := time.Now().Add(o.warmup)
	due := make(map[string]time.Time, len(list))
	for i := range list {
		list[i] = task{Key: fmt.Sprintf("delayed-%06d", i),
			Due: first.Add(time.Duration(i) * time.Second / time.Duration(o.delayed))}
		due[list[i].Key] = list[i].Due
	}
	if _, err := system.submit(ctx, list); err != nil {
		return err
	}
	if time.Now().After(first) {
		return fmt.Errorf("it took longer than the warm-up of %v to submit %d tasks", o.warmup, len(list))
	}
	patience := o.warmup + o.span + time.Minute
	if err := r.started(ctx, patience, len(list), func(judge.Line) bool { return true }); err != nil {
		return err
	}
	lines, err := r.lines()
	if err != nil {
		return err
	}
	var late []float64
	for _, l := range lines {
		if l.Event == judge.Start {
			late = append(late, float64(l.At.Sub(due[l.Key]).Microseconds())/1000)
		}
	}
	slices.Sort(late)
	s.LateP50, s.LateP99 = late[len(late)/2], late[len(late)*99/100]
	s.Early, _ = slices.BinarySearch(late, -1)
	return nil
}

// printSpeeds prints each run, and each system beside fir-job in the same repeat.
func printSpeeds(out io.Writer, all []speed) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "run\tsystem\texecutions/s\tCPU µs each\tlate p50 ms\tlate p99 ms\tearly\tto fir-job\tCPU to "+
		"fir-job\t\t")
	base := make(map[int]speed)
	for _, s := range all {
		if s.System == "fir-job" {
			base[s.Repeat] = s
		}
		b := base[s.Repeat]
		fmt.Fprintf(table, "%d\t%s\t%.0f\t%.1f\t%.2f\t%.2f\t%d\t×%.2f\t×%.2f\t\t%s\n", s.Repeat, s.System, s.PerSecond,
			s.MicrosCPU,
			s.LateP50, s.LateP99, s.Early, s.PerSecond/b.PerSecond, s.MicrosCPU/b.MicrosCPU, s.Note)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out,
		"fir-job: what it was offered, the whole way from plan to result; peers: inserts and executions as fast as "+
			"they go\n%d CPUs\n",
		runtime.GOMAXPROCS(0))
	return err
}
