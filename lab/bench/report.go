package bench

import (
	"context"
	"maps"
	"math"
	"runtime"
	"slices"

	"github.com/firjob/firjob"
)

// Run is what one run of a benchmark has measured. What a benchmark does not
// measure is zero or absent.
type Run struct {
	ExecutionsPerSecond float64            `json:"executions_per_second"` // that ended within the span
	Offered             float64            `json:"offered_per_second"`    // that were due within it
	CPUPerExecution     float64            `json:"cpu_us_per_execution"`  // of all groups
	CPUSeconds          map[string]float64 `json:"cpu_seconds"`           // by group
	LatenessMS          map[string]float64 `json:"lateness_ms"`           // p50, p99, p999, max
	Early               int64              `json:"early"`
	Lost                int64              `json:"lost"`
	Doubled             int64              `json:"doubled"`
	Repeated            int64              `json:"repeated_attempts"`
	RSSMB               map[string]float64 `json:"rss_mb"` // by group
	Executions          int64              `json:"executions"`
	Seconds             float64            `json:"seconds"`
	// Figures are what this benchmark measures besides; each name ends in its unit.
	Figures map[string]float64 `json:"figures,omitempty"`
	Steps   []Step             `json:"steps,omitempty"`  // of a search for the highest rate
	Faults  []Fault            `json:"faults,omitempty"` // of recovery
}

// Range is the lowest and the highest of several runs.
type Range struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// Report is what a benchmark has measured: of several runs the medians, and of
// the counts that must be 0 the worst.
type Report struct {
	Bench   string `json:"bench"`
	Version string `json:"version"` // of the program; set by whoever knows it
	Run
	Spread    map[string]Range `json:"spread"`
	Runs      []Run            `json:"runs"`
	GoVersion string           `json:"go_version"`
	CPUs      int              `json:"cpus"`
	Settings  map[string]any   `json:"settings"`
}

// Holds reports whether the records of all runs hold: nothing lost, doubled or early.
func (r *Report) Holds() bool { return r.Early == 0 && r.Lost == 0 && r.Doubled == 0 }

// repeat does the runs of a benchmark and sums them up.
func (o Options) repeat(ctx context.Context, name string, settings map[string]any,
	once func(context.Context) (Run, error)) (*Report, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	r := &Report{Bench: name, GoVersion: runtime.Version(), CPUs: runtime.GOMAXPROCS(0), Settings: map[string]any{
		"servers": o.Servers, "workers": o.Workers, "concurrency": o.Concurrency, "queue": o.Queue,
		"horizon": firjob.Duration(o.Horizon), "scan_interval": firjob.Duration(o.ScanInterval),
		"warmup": firjob.Duration(o.Warmup), "duration": firjob.Duration(o.Duration),
		"postgres": o.Postgres, "server_env": o.ServerEnv, "worker_env": o.WorkerEnv,
		"own_stores": o.DatabaseURL == "" && o.RedisURL == "",
	}}
	maps.Copy(r.Settings, settings)
	for i := range o.Runs {
		if o.Runs > 1 {
			o.say("run %d of %d", i+1, o.Runs)
		}
		run, err := once(ctx)
		if err != nil {
			return nil, err
		}
		r.Runs = append(r.Runs, run)
	}
	r.sumUp()
	return r, nil
}

func (r *Report) sumUp() {
	r.Spread = make(map[string]Range)
	for _, name := range names(r.Runs, values) {
		r.Spread[name] = rangeOf(r.Runs, func(run Run) float64 { return values(run)[name] })
	}
	r.Run = Run{
		ExecutionsPerSecond: median(r.Runs, func(run Run) float64 { return run.ExecutionsPerSecond }),
		Offered:             median(r.Runs, func(run Run) float64 { return run.Offered }),
		CPUPerExecution:     median(r.Runs, func(run Run) float64 { return run.CPUPerExecution }),
		CPUSeconds:          medians(r.Runs, func(run Run) map[string]float64 { return run.CPUSeconds }),
		LatenessMS:          medians(r.Runs, func(run Run) map[string]float64 { return run.LatenessMS }),
		RSSMB:               medians(r.Runs, func(run Run) map[string]float64 { return run.RSSMB }),
		Figures:             medians(r.Runs, func(run Run) map[string]float64 { return run.Figures }),
		Executions:          int64(median(r.Runs, func(run Run) float64 { return float64(run.Executions) })),
		Seconds:             median(r.Runs, func(run Run) float64 { return run.Seconds }),
	}
	for _, run := range r.Runs {
		r.Early, r.Lost = max(r.Early, run.Early), max(r.Lost, run.Lost)
		r.Doubled, r.Repeated = max(r.Doubled, run.Doubled), max(r.Repeated, run.Repeated)
	}
}

// values are the figures whose spread is told.
func values(run Run) map[string]float64 {
	v := map[string]float64{"executions_per_second": run.ExecutionsPerSecond,
		"cpu_us_per_execution": run.CPUPerExecution}
	for name, ms := range run.LatenessMS {
		v["lateness_ms."+name] = ms
	}
	maps.Copy(v, run.Figures)
	return v
}

func names(runs []Run, of func(Run) map[string]float64) []string {
	all := make(map[string]bool)
	for _, run := range runs {
		for name := range of(run) {
			all[name] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

func rangeOf(runs []Run, of func(Run) float64) Range {
	r := Range{Low: math.Inf(1), High: math.Inf(-1)}
	for _, run := range runs {
		r.Low, r.High = min(r.Low, of(run)), max(r.High, of(run))
	}
	return r
}

func median(runs []Run, of func(Run) float64) float64 {
	var list []float64
	for _, run := range runs {
		list = append(list, of(run))
	}
	return middle(list)
}

// medians returns the median of each name, nil for none.
func medians(runs []Run, of func(Run) map[string]float64) map[string]float64 {
	all := names(runs, of)
	if len(all) == 0 {
		return nil
	}
	m := make(map[string]float64)
	for _, name := range all {
		m[name] = median(runs, func(run Run) float64 { return of(run)[name] })
	}
	return m
}

// middle is the median; 0 of none.
func middle(list []float64) float64 {
	if len(list) == 0 {
		return 0
	}
	list = slices.Sorted(slices.Values(list))
	half := len(list) / 2
	if len(list)%2 == 1 {
		return list[half]
	}
	return (list[half-1] + list[half]) / 2
}

// quantile is the smallest of list that at least the share q of it does not
// exceed; 0 of none.
func quantile(list []float64, q float64) float64 {
	if len(list) == 0 {
		return 0
	}
	list = slices.Sorted(slices.Values(list))
	return list[min(len(list)-1, max(0, int(math.Ceil(q*float64(len(list))))-1))]
}
