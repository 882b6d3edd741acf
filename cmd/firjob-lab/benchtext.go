package main

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/firjob/firjob/lab/bench"
)

// showReport writes a report for people.
func showReport(w io.Writer, r *bench.Report) error {
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(table, "%s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	line("bench", "%s, %d run(s), %d CPUs, %s", r.Bench, len(r.Runs), r.CPUs, r.Version)
	showLoad(line, r)
	for _, name := range slices.Sorted(maps.Keys(r.Figures)) {
		if !strings.HasPrefix(name, "base_") && !strings.HasPrefix(name, "ratio_") {
			line(strings.ReplaceAll(name, "_", " "), "%s%s%s", figure(r.Figures[name]), spreadOf(r, name),
				besideBase(r, name))
		}
	}
	for i, run := range r.Runs {
		showSteps(line, i+1, run)
	}
	line("records", "early %d, lost %d, doubled %d; repeated attempts %d", r.Early, r.Lost, r.Doubled, r.Repeated)
	return table.Flush()
}

// besideBase tells what a figure is in the cluster that this one is compared with.
func besideBase(r *bench.Report, name string) string {
	base, known := r.Figures["base_"+name]
	if !known {
		return ""
	}
	return fmt.Sprintf(", base %s, ratio %.2f", figure(base), r.Figures["ratio_"+name])
}

// showSteps writes what one run has done step by step.
func showSteps(line func(name, format string, args ...any), number int, run bench.Run) {
	for _, step := range run.Steps {
		line(fmt.Sprintf("run %d, step", number), "offered %.0f/s: %.0f/s, p99 %.1f ms in %.1f s, %s",
			step.Offered, step.ExecutionsPerSecond, step.LatenessP99MS, step.Seconds, stepOutcome(step))
	}
	for _, f := range run.Faults {
		line(fmt.Sprintf("run %d, %s killed", number, f.Kind), "%s: %d handlers interrupted, recovered in %.0f ms",
			f.Target, f.Interrupted, f.RecoveryMS)
	}
}

// stepOutcome says in words what became of a step.
func stepOutcome(step bench.Step) string {
	switch {
	case step.Kept:
		return "kept up with"
	case step.GivenUp:
		return "given up"
	}
	return "too much"
}

// showLoad writes what the benchmarks have in common.
func showLoad(line func(name, format string, args ...any), r *bench.Report) {
	if r.Executions > 0 {
		offered := ""
		if r.Offered > 0 {
			offered = fmt.Sprintf(" of %.0f offered", r.Offered)
		}
		line("executions/s", "%.0f%s, %d in %.1f s%s", r.ExecutionsPerSecond, offered, r.Executions, r.Seconds,
			spreadOf(r, "executions_per_second"))
	}
	if len(r.LatenessMS) > 0 {
		line("lateness ms", "p50 %.2f, p99 %.2f, p99.9 %.2f, max %.2f%s", r.LatenessMS["p50"], r.LatenessMS["p99"],
			r.LatenessMS["p999"], r.LatenessMS["max"], spreadOf(r, "lateness_ms.p99"))
	}
	if r.CPUPerExecution > 0 {
		line("CPU µs/execution", "%.1f%s", r.CPUPerExecution, spreadOf(r, "cpu_us_per_execution"))
	}
	if len(r.CPUSeconds) > 0 {
		line("CPU s", "%s", groups(r.CPUSeconds, "%.2f"))
	}
	if len(r.RSSMB) > 0 {
		line("RSS MB", "%s", groups(r.RSSMB, "%.0f"))
	}
}

// spreadOf tells the range of several runs.
func spreadOf(r *bench.Report, name string) string {
	of, known := r.Spread[name]
	if len(r.Runs) < 2 || !known {
		return ""
	}
	return fmt.Sprintf(" (%s%s to %s)", spreadLabel(name), figure(of.Low), figure(of.High))
}

// figure writes four digits of a number, or all before its point.
func figure(x float64) string {
	if math.Abs(x) >= 1000 {
		return fmt.Sprintf("%.0f", x)
	}
	return fmt.Sprintf("%.4g", x)
}

// spreadLabel names the one of several figures of a line that a range is of.
func spreadLabel(name string) string {
	if _, part, ok := strings.Cut(name, "."); ok {
		return part + " "
	}
	return ""
}

// groups writes the values of groups of processes.
func groups(m map[string]float64, format string) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, fmt.Sprintf("%s "+format, name, m[name]))
	}
	return strings.Join(parts, ", ")
}
