package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// drop is the share of the earlier program's merit below which this one is worse:
// machines that run tests are too noisy for less.
const drop = 0.7

// pairs is how often a measure must show the drop: each pair of runs that does not
// show it clears the measure.
const pairs = 2

// benches are what both programs run. Only flags that every version has. The
// horizon is short because a load begins after one.
var benches = []struct {
	name string
	args []string
}{
	{"throughput", []string{"bench", "throughput", "--rate", "4000", "--horizon", "2s", "--warmup", "1s", "--duration",
		"3s", "-o", "json"}},
	{"lateness", []string{"bench", "lateness", "--rate", "500", "--horizon", "2s", "--warmup", "1s", "--duration", "2s",
		"-o", "json"}},
}

// figures are what is read of a program's report.
type figures struct {
	PerSecond  float64            `json:"executions_per_second"`
	CPU        float64            `json:"cpu_us_per_execution"`
	LatenessMS map[string]float64 `json:"lateness_ms"`
}

// ratio is how good this program is compared with the earlier one: 1 as good, less
// is worse.
type ratio struct {
	name   string
	value  float64
	judged bool // else it is for people
}

// measure runs a benchmark with one program.
func measure(ctx context.Context, binary string, args []string) (f figures, err error) {
	out, err := output(ctx, ".", binary, args...)
	if err != nil {
		return f, err
	}
	if err := json.Unmarshal([]byte(out), &f); err != nil {
		return f, fmt.Errorf("read the report of %s: %w", binary, err)
	}
	if f.PerSecond == 0 {
		return f, errors.New("the report has no executions_per_second")
	}
	return f, nil
}

// errDrop is a drop that was shown.
var errDrop = errors.New("worse than the earlier program")

type measurer func(ctx context.Context, binary string, args []string) (figures, error)

// compare runs the benchmarks with both programs in turn, and again where this one
// was worse. The error names what was worse each time.
func compare(ctx context.Context, w io.Writer, before, now string, measure measurer) error {
	var worse []error
	for _, b := range benches {
		suspects, err := pair(ctx, w, b.name, b.args, before, now, measure)
		for i := 1; i < pairs && err == nil && len(suspects) > 0; i++ {
			var again []string
			again, err = pair(ctx, w, b.name, b.args, before, now, measure)
			suspects = both(suspects, again)
		}
		if errors.Is(err, errNothing) {
			fmt.Fprintln(w, err)
			continue
		}
		if err != nil {
			return errors.Join(append(worse, err)...)
		}
		for _, name := range suspects {
			worse = append(worse,
				fmt.Errorf("%w: %s: %s is below %.1f of the earlier program's in each of %d pairs of runs", errDrop,
					b.name, name, drop, pairs))
		}
	}
	return errors.Join(worse...)
}

// pair runs one benchmark with the earlier program and then with this one, prints
// the ratios, and returns the names of what is worse.
func pair(ctx context.Context, w io.Writer, name string, args []string, before, now string,
	measure measurer) (worse []string, err error) {
	old, err := measure(ctx, before, args)
	if err != nil {
		return nil, fmt.Errorf("%w: %s of the earlier program: %w", errNothing, name, err)
	}
	own, err := measure(ctx, now, args)
	if err != nil && ctx.Err() == nil { // a machine that is too busy for one start is no drop
		fmt.Fprintf(w, "%s: once more, after: %v\n", name, err)
		own, err = measure(ctx, now, args)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	for _, r := range ratios(old, own) {
		fmt.Fprintf(w, "%s: %s: %.2f of the earlier program's merit\n", name, r.name, r.value)
		if r.judged && r.value < drop {
			worse = append(worse, r.name)
		}
	}
	return worse, nil
}

// ratios compares two reports. The CPU of an execution at a rate that both keep up
// with tells most, because it hardly depends on what else the machine does.
// Lateness does: of two runs of one program on a busy machine one was twice as
// late, twice over. It is not judged.
func ratios(old, own figures) []ratio {
	list := []ratio{{"executions/s", own.PerSecond / old.PerSecond, true}}
	if old.CPU > 0 && own.CPU > 0 {
		list = append(list, ratio{"CPU per execution", old.CPU / own.CPU, true})
	}
	for _, quantile := range []string{"p50", "p99"} {
		if was, is := old.LatenessMS[quantile], own.LatenessMS[quantile]; was > 0 && is > 0 {
			list = append(list, ratio{"lateness " + quantile, was / is, false})
		}
	}
	return list
}

// both returns what is in each of two lists.
func both(a, b []string) (common []string) {
	for _, x := range a {
		for _, y := range b {
			if x == y {
				common = append(common, x)
			}
		}
	}
	return common
}
