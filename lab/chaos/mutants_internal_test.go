//go:build !race

// The race detector slows the tests' own part of the cluster, and what is looked
// for is in other processes: so these run without, and by themselves.

package chaos

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/failpoint"
	"github.com/firjob/firjob/lab/checker"
	"github.com/firjob/firjob/lab/mutants"
)

// trial is a short run of the program without some of its guards.
type trial struct {
	broken []mutants.Mutant
	jobs   map[string]definition
	steps  []Step
	load   time.Duration
	storm  bool
	lease  time.Duration // as in a full run by default
	more   int           // workers beyond two
	by     []string      // invariants of which one must be violated; none: it is healed
}

// trials has one for each mutant. Two mutants stand together where one alone is
// healed by the other's guard; that it is has a trial, too.
func trials() []trial {
	type without = []mutants.Mutant
	return []trial{
		{broken: without{mutants.FireForgotten}, jobs: plainJobs(), load: 3 * time.Second, by: []string{"I1"}},
		{broken: without{mutants.NeverAnnounced}, jobs: plainJobs(), load: 3 * time.Second, by: []string{"I3"}},
		{broken: without{mutants.LateFiresDropped}, jobs: catchUpJobs(), load: 11 * time.Second, by: []string{"I1"}, steps: outage(time.Second)},
		{broken: without{mutants.SupersedeSkipped, mutants.VersionIgnored}, jobs: plainJobs(), load: 8 * time.Second, storm: true, by: []string{"I2"}},
		{broken: without{mutants.StateIgnored}, jobs: longJobs(10 * time.Second), load: 2 * time.Second, by: []string{"I5"}},
		{broken: without{mutants.TokenKept}, jobs: failingJobs(), load: 3 * time.Second, by: []string{"I4", "I7"}},
		{broken: without{mutants.NotHeld}, jobs: plainJobs(), load: 3 * time.Second, by: []string{"I3"}},
		{broken: without{mutants.SentUnchecked}, jobs: denseJobs(), load: 9 * time.Second, lease: 12 * time.Second, more: 2, by: []string{"I4"}, steps: []Step{
			{At: 2 * time.Second, Class: "pause-replica", Target: "server-1", For: 6 * time.Second}}},
		{broken: without{mutants.UnknownIsRefused}, jobs: plainJobs(), load: 5 * time.Second, by: []string{"I4"}, steps: []Step{
			{At: time.Second, Class: "triggers-lose-answers", Target: "servers→worker-1", For: 3 * time.Second}}},
		{broken: without{mutants.EpochIgnored, mutants.NoSweep}, jobs: plainJobs(), load: 5 * time.Second, by: []string{"I1", "I3"}, steps: []Step{
			{At: 2 * time.Second, Class: "redis-flushall", Target: "redis"}}},
		{broken: without{mutants.NoSweep}, jobs: plainJobs(), load: 5 * time.Second, by: []string{"I1", "I3"}, steps: []Step{
			{At: 2 * time.Second, Class: "redis-lose-queue", Target: "redis"}}},
		{broken: without{mutants.LeasesNeverEnd}, jobs: exclusiveJobs(), load: 6 * time.Second, by: []string{"I1", "I9"}, steps: killExecutor(3 * time.Second)},
		{broken: without{mutants.LostIsFinal}, jobs: longJobs(2 * time.Second), load: 5 * time.Second, by: []string{"I7"}, steps: killExecutor(3 * time.Second)},
		{broken: without{mutants.ResultOfAnyToken}, jobs: longJobs(9 * time.Second), load: 17 * time.Second, by: []string{"I6"}, steps: crash(failpoint.AfterSpool, "worker-1", 5500*time.Millisecond, 9*time.Second)},
		{broken: without{mutants.AnsweredUncommitted}, jobs: longJobs(time.Second), load: 6 * time.Second, by: []string{"I6"}, steps: []Step{
			{At: 3 * time.Second, Class: "postgres-crash", Target: "postgres", For: 2 * time.Second}}},
		{broken: without{mutants.ChildApart}, jobs: families(), load: 11 * time.Second, by: []string{"I10"}, steps: slices.Concat(
			crash(failpoint.BeforeAnswer, "server-1", 300*time.Millisecond, 2*time.Second, 6*time.Second, 10*time.Second),
			crash(failpoint.BeforeAnswer, "server-2", 300*time.Millisecond, 4*time.Second, 8*time.Second))},
		{broken: without{mutants.SlotNotTaken}, jobs: boundJobs(), load: 3 * time.Second, by: []string{"I10"}},
		{broken: without{mutants.SlotNotReleased}, jobs: boundJobs(), load: 3 * time.Second, by: []string{"I1", "I11"}},
		{broken: without{mutants.TokenIgnored}, jobs: failingJobs(), load: 5 * time.Second, by: []string{"I4"}, steps: []Step{
			{At: time.Second, Class: "triggers-echo", Target: "servers→worker-1", For: 3 * time.Second}}},
		{broken: without{mutants.SpoolSkipped}, jobs: mixedJobs(), load: 9 * time.Second, by: []string{"I6"}, steps: []Step{
			{At: 3 * time.Second, Class: "postgres-pause", Target: "postgres", For: 4 * time.Second},
			{At: 5500 * time.Millisecond, Class: "kill-executor", Target: "worker-1", For: 2500 * time.Millisecond}}},
		{broken: without{mutants.EpochIgnored}, jobs: plainJobs(), load: 5 * time.Second, steps: []Step{
			{At: 2 * time.Second, Class: "redis-flushall", Target: "redis"}}},
		{broken: without{mutants.SupersedeSkipped}, jobs: plainJobs(), load: 8 * time.Second, storm: true},
		{broken: without{mutants.VersionIgnored}, jobs: plainJobs(), load: 8 * time.Second, storm: true},
	}
}

// The jobs of trials, by name.

func several(n int, name string, d func() definition) map[string]definition {
	all := map[string]definition{}
	for i := range n {
		all[fmt.Sprintf("%s-%02d", name, i)] = d()
	}
	return all
}

func plainJobs() map[string]definition {
	return several(5, "plain", func() definition { return every(500*time.Millisecond, "noop", nil) })
}

// denseJobs have some fires in the hands of each server at any time.
func denseJobs() map[string]definition {
	return several(20, "dense", func() definition { return every(200*time.Millisecond, "noop", nil) })
}

// catchUpJobs are late as soon as half a second has passed.
func catchUpJobs() map[string]definition {
	return several(4, "catch-up", func() definition {
		return every(500*time.Millisecond, "noop", nil).with(map[string]any{
			"misfire": map[string]any{"policy": firjob.MisfireFireAll, "grace": "500ms"}})
	})
}

func longJobs(d time.Duration) map[string]definition {
	return several(4, "long-"+d.String(), func() definition { return every(time.Second, "sleep", sleeping(d)) })
}

// mixedJobs have handlers that end now and handlers that end later, at any time.
func mixedJobs() map[string]definition {
	jobs := several(2, "short", func() definition { return every(200*time.Millisecond, "sleep", sleeping(300*time.Millisecond)) })
	maps.Copy(jobs, several(3, "longer", func() definition { return every(200*time.Millisecond, "sleep", sleeping(2*time.Second)) }))
	return jobs
}

// failingJobs fail once.
func failingJobs() map[string]definition {
	return several(4, "failing", func() definition {
		return every(500*time.Millisecond, "flaky", map[string]any{"times": 1}).with(map[string]any{
			"retry": map[string]any{"max_attempts": 3, "kind": "fixed", "backoff": "200ms", "jitter": 0}})
	})
}

// exclusiveJobs run from their first fire on, on every executor, for some seconds.
func exclusiveJobs() map[string]definition {
	return several(10, "exclusive", func() definition {
		d := every(time.Second, "sleep", sleeping(4*time.Second)).with(map[string]any{"exclusive": true, "overlap": firjob.OverlapSkip})
		d.spec.Overlap, d.spec.MaxRunning = firjob.OverlapSkip, 1
		return d
	})
}

// families are parents with five generations, so that of six results five have a
// child.
func families() map[string]definition {
	return several(3, "ancestor", func() definition { return every(500*time.Millisecond, "noop", nil).parenting(5) })
}

func boundJobs() map[string]definition {
	all := special()
	return map[string]definition{"skip": all["skip"], "one-at-a-time": all["one-at-a-time"], "two-at-a-time": all["two-at-a-time"]}
}

// The faults of trials.

func outage(at time.Duration) []Step {
	return []Step{{At: at, Class: "kill-replica", Target: "server-1", For: 7 * time.Second}, {At: at, Class: "kill-replica", Target: "server-2", For: 7 * time.Second}}
}

func killExecutor(at time.Duration) []Step {
	return []Step{{At: at, Class: "kill-executor", Target: "worker-1", For: time.Second}}
}

func crash(p failpoint.Point, target string, down time.Duration, at ...time.Duration) (steps []Step) {
	for _, at := range at {
		steps = append(steps, Step{At: at, Class: "crash-" + string(p), Target: target, For: down})
	}
	return steps
}

// name is that of the mutants.
func (x trial) name() string {
	names := make([]string, len(x.broken))
	for i, m := range x.broken {
		names[i] = string(m)
	}
	return strings.Join(names, "+")
}

// side is how many trials go on at a time: most of their time is waiting.
const side = 5

// Each program without a guard is found out, by an invariant that is about that
// guard; the whole one, under the same faults, is not, nor is one without a guard
// that another stands in for.
func TestMutantsAreFoundOut(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a minute")
	}
	program := filepath.Join(t.TempDir(), "firjob")
	if err := mutants.Build(t.Context(), "../..", program); err != nil {
		t.Fatal(err)
	}
	all := append([]trial{whole()}, trials()...)
	for i, of := range inTurn(t, program, all) {
		x := all[i]
		t.Run(cmp.Or(x.name(), "none"), func(t *testing.T) {
			end := <-of
			if end.err != nil {
				t.Fatal(end.err)
			}
			t.Logf("after %v, %d fires: %v", end.took.Round(time.Second), end.report.Targets, byInvariant(end.report))
			if err := x.judge(end.report); err != nil {
				t.Errorf("%v\n%s", err, text(t, end.report))
			}
		})
	}
}

// judge says what is not as it has to be: nil if all is.
func (x trial) judge(r *checker.Report) error {
	found := byInvariant(r)
	switch {
	case len(x.broken) == 0 && (!r.Held() || r.Targets < 500):
		return fmt.Errorf("the program with all of its guards is found at fault, or had little to do, with %d fires", r.Targets)
	case len(x.by) == 0 && !r.Held():
		return fmt.Errorf("%s is not healed: got violations of %v", x.name(), found)
	case len(x.by) > 0 && !slices.ContainsFunc(x.by, func(i string) bool { return found[i] > 0 }):
		return fmt.Errorf("%s survived: got violations of %v, want some of %v", x.name(), found, x.by)
	}
	return nil
}

// ending is what came of a trial.
type ending struct {
	report *checker.Report
	took   time.Duration
	err    error
}

// inTurn runs trials, some at a time, and returns where the end of each is told.
func inTurn(t *testing.T, program string, all []trial) []chan ending {
	t.Helper()
	dir := cmp.Or(os.Getenv("FIRJOB_TEST_KEEP"), t.TempDir())
	ends := make([]chan ending, len(all))
	places := make(chan struct{}, side)
	ctx, cancel := context.WithCancel(t.Context())
	var runs sync.WaitGroup
	t.Cleanup(func() { cancel(); runs.Wait() })
	for i, x := range all {
		ends[i] = make(chan ending, 1)
		runs.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			began := time.Now()
			r, err := x.run(ctx, program, filepath.Join(dir, cmp.Or(x.name(), "none")))
			if err != nil || x.judge(r) != nil { // a machine that was busy with other things does not do it twice
				r, err = x.run(ctx, program, filepath.Join(dir, cmp.Or(x.name(), "none")+" again"))
			}
			ends[i] <- ending{r, time.Since(began), err}
		})
	}
	return ends
}

// whole is all trials one after the other, with no guard missing.
func whole() trial {
	all := trial{jobs: map[string]definition{}, storm: true, more: 1}
	at := time.Second
	seen := map[string]bool{}
	for _, x := range trials() {
		for name, d := range x.jobs {
			if last := name[len(name)-1]; strings.HasSuffix(name, "-00") || last > '9' { // one of each kind
				all.jobs[name] = d
			}
		}
		if key := fmt.Sprint(x.steps); len(x.steps) > 0 && !seen[key] {
			seen[key] = true
			first, last := x.steps[0].At, time.Duration(0)
			for _, s := range x.steps {
				s.At += at - first
				last = max(last, s.At+s.For)
				all.steps = append(all.steps, s)
			}
			at = last + time.Second
		}
	}
	slices.SortStableFunc(all.steps, func(a, b Step) int { return int(a.At - b.At) })
	all.load = at
	return all
}

func (x trial) run(ctx context.Context, program, dir string) (*checker.Report, error) {
	n := &narrow{jobs: x.jobs, steps: x.steps, storm: x.storm, lease: x.lease}
	if len(x.broken) > 0 {
		n.env = []string{mutants.Env + "=" + strings.ReplaceAll(x.name(), "+", ",")}
	}
	if len(x.by) > 0 { // something will hang
		n.recovery, n.drain = 4*time.Second, 5*time.Second
	}
	var undone []error
	report, err := Run(ctx, WithFailpoints(Options{
		Dir: dir, Seed: 1, Duration: x.load, Servers: 2, Workers: 2 + x.more, Binary: program, Quiet: time.Second, OnMin: time.Second, narrow: n,
		Progress: func(line string) {
			if strings.Contains(line, "could not be done") {
				undone = append(undone, errors.New(strings.TrimSpace(line)))
			}
		},
	}))
	return report, errors.Join(append(undone, err)...)
}

// byInvariant counts violations by the short names of their invariants.
func byInvariant(r *checker.Report) map[string]int {
	found := map[string]int{}
	for _, v := range r.Violations {
		short, _, _ := strings.Cut(v.Invariant, " ")
		found[short]++
	}
	return found
}

func text(t *testing.T, r *checker.Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Each mutant has a trial, and each class of faults of a trial is known.
func TestTrialsAreWhole(t *testing.T) {
	t.Parallel()
	tried := map[mutants.Mutant]bool{}
	known := WithFailpoints(Options{Topology: Single}).Known()
	for _, x := range trials() {
		for _, m := range x.broken {
			tried[m] = tried[m] || len(x.by) > 0
		}
		for _, s := range x.steps {
			if !slices.Contains(known, s.Class) {
				t.Errorf("%s: there is no fault %s", x.name(), s.Class)
			}
		}
	}
	for _, m := range mutants.All() {
		if !tried[m] {
			t.Errorf("nothing tries %s", m)
		}
	}
}
