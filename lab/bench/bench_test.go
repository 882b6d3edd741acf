package bench_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/localstack"
	"github.com/firjob/firjob/lab/bench"
)

// binary is the program whose servers and executors are measured, built once.
var binary string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "firjob-binary-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "firjob")
	if out, err := exec.Command("go", "build", "-o", binary, "../../cmd/firjob-lab").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the program under test: %v\n%s", err, out)
		return 1
	}
	// These tests wait much more than they compute.
	flag.Parse()
	if err := flag.Set("test.parallel", "5"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// small are options for a cluster that does little.
func small(t *testing.T) bench.Options {
	t.Helper()
	t.Parallel()
	return bench.Options{
		Binary: binary, Servers: 1, Workers: 1, Concurrency: 16, Queue: 1000, Runs: 1,
		Horizon: 2 * time.Second, ScanInterval: 200 * time.Millisecond,
		Warmup: 500 * time.Millisecond, Duration: time.Second,
		Progress: func(line string) { t.Log(line) },
		Output:   func(process, line string) { t.Log(process, line) },
	}
}

// check asserts that the records hold and that each figure was measured.
func check(t *testing.T, r *bench.Report, err error, figures ...string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if !r.Holds() {
		t.Errorf("early %d, lost %d, doubled %d, want none", r.Early, r.Lost, r.Doubled)
	}
	for _, name := range figures {
		if r.Figures[name] <= 0 {
			t.Errorf("%s is %v, want it measured; there are %v", name, r.Figures[name], r.Figures)
		}
	}
	if r.RSSMB["servers"] <= 0 || r.RSSMB["postgres"] <= 0 {
		t.Errorf("memory %v, want that of servers and postgres", r.RSSMB)
	}
}

func TestThroughput(t *testing.T) {
	o := small(t)
	o.Runs = 2
	r, err := bench.Throughput(t.Context(), o, bench.Steady{Rate: 100, Interval: 250 * time.Millisecond})
	check(t, r, err)
	if len(r.Runs) != 2 || r.Executions < 50 || r.CPUPerExecution <= 0 || r.LatenessMS["max"] <= 0 {
		t.Errorf("%d runs with %d executions, %v µs each, lateness %v; want 2 runs with about 100, measured",
			len(r.Runs), r.Executions, r.CPUPerExecution, r.LatenessMS)
	}
	if spread := r.Spread["executions_per_second"]; spread.Low > r.ExecutionsPerSecond || spread.High < r.ExecutionsPerSecond || spread.Low == 0 {
		t.Errorf("executions/s %v outside of the range %+v", r.ExecutionsPerSecond, spread)
	}
}

// The bound on lateness makes any rate too much, the third step included.
func TestSearchEnds(t *testing.T) {
	o := small(t)
	o.Warmup = 0
	_, err := bench.MaxThroughput(t.Context(), o, bench.Search{Interval: time.Second, From: 2, Precision: 0.5, MaxLateness: time.Nanosecond})
	if err == nil || !strings.Contains(err.Error(), "not even") {
		t.Errorf("error %v, want one that says that nothing is kept up with", err)
	}
}

func TestLateness(t *testing.T) {
	r, err := bench.Lateness(t.Context(), small(t), bench.Steady{Rate: 50, Interval: time.Second})
	check(t, r, err)
	if r.LatenessMS["p50"] <= 0 || r.LatenessMS["p50"] > r.LatenessMS["p99"] {
		t.Errorf("lateness %v, want it measured by the handlers", r.LatenessMS)
	}
}

func TestHerd(t *testing.T) {
	r, err := bench.MeasureHerd(t.Context(), small(t), bench.Herd{Jobs: 200, Lead: 5 * time.Second, Background: 10})
	check(t, r, err, "first_start_ms", "last_start_ms", "others_lateness_p99_ms")
	if r.Executions < 200 {
		t.Errorf("%d executions, want the herd of 200 among them", r.Executions)
	}
}

func TestDefinitions(t *testing.T) {
	r, err := bench.MeasureDefinitions(t.Context(), small(t), bench.Definitions{Jobs: 600, Base: 200, Rate: 50, Asks: 2})
	check(t, r, err, "plan_wall_us_per_job", "base_plan_wall_us_per_job", "ratio_plan_wall_us_per_job",
		"page_jobs_p50_ms", "page_jobs_deep_p99_ms", "page_jobs_named_p50_ms", "base_page_executions_p50_ms", "ratio_cpu_us_per_due_job")
	if r.Executions < 40 {
		t.Errorf("%d executions, want about 50", r.Executions)
	}
}

func TestHistory(t *testing.T) {
	r, err := bench.MeasureHistory(t.Context(), small(t),
		bench.History{Steady: bench.Steady{Rate: 50, Interval: 250 * time.Millisecond}, Executions: 1001, Days: 2})
	check(t, r, err, "cpu_ratio", "drop_ms", "drop_tries", "drop_stall_ms", "drop_lateness_max_ms")
}

func TestRecovery(t *testing.T) {
	o := small(t)
	o.Servers, o.Workers = 2, 2
	r, err := bench.MeasureRecovery(t.Context(), o,
		bench.Recovery{Rate: 10, Interval: time.Second, Hold: 300 * time.Millisecond, Kills: 1, Down: 4 * time.Second})
	check(t, r, err, "executor_recovery_max_ms", "server_recovery_max_ms")
	if faults := r.Runs[0].Faults; len(faults) != 2 {
		t.Errorf("faults %+v, want an executor's and a server's", faults)
	}
}

func TestAPI(t *testing.T) {
	r, err := bench.MeasureAPI(t.Context(), small(t), bench.API{Callers: 2, BatchCallers: 2, Batch: 20, Batches: 2})
	check(t, r, err, "create_job_requests_per_second", "trigger_p99_ms", "create_batch_items_per_second", "trigger_batch_p50_ms")
	if r.Executions < 40 {
		t.Errorf("%d executions, want those of 2 batches of 20 and single ones", r.Executions)
	}
}

func TestIdle(t *testing.T) {
	r, err := bench.MeasureIdle(t.Context(), small(t), bench.Idle{Jobs: 10})
	check(t, r, err, "rss_mb_per_server", "transactions_per_second")
	if r.Executions != 0 {
		t.Errorf("%d executions, want none of paused jobs", r.Executions)
	}
}

// Stores that are not ours may be used, again and again, but not those of others.
func TestStoresOfOthers(t *testing.T) {
	o := small(t)
	ctx := t.Context()
	pg, err := localstack.StartPostgres(ctx, localstack.PostgresOptions{Dir: folder(t)})
	stopAtEnd(t, pg, err)
	redis, err := localstack.StartRedis(ctx, localstack.RedisOptions{Ephemeral: true})
	stopAtEnd(t, redis, err)
	o.DatabaseURL, o.RedisURL = pg.URL("postgres"), redis.URL()
	o.Runs, o.Warmup, o.Duration = 2, 0, 200*time.Millisecond
	r, err := bench.MeasureIdle(ctx, o, bench.Idle{Jobs: 10})
	if err != nil || r.Settings["own_stores"] != false {
		t.Fatalf("two runs with stores of the user's: %v, %+v", err, r)
	}
	if len(r.CPUSeconds) != 2 {
		t.Errorf("CPU of %v is told, want that of servers and workers: what others use cannot be known", r.CPUSeconds)
	}

	o.DatabaseURL = pg.URL("template1") // empty, and new to that Redis
	_, err = bench.MeasureIdle(ctx, o, bench.Idle{})
	if firjob.CodeOf(err) != firjob.CodeConflict || !strings.Contains(err.Error(), "Redis") {
		t.Errorf("a Redis that belongs to another database: %v, want it refused", err)
	}
}

type stopper interface{ Stop(context.Context) error }

func stopAtEnd(t *testing.T, s stopper, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
}

func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for d := dir; len(d) > len(os.TempDir()); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil { // Postgres drops to another user
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "postgres")
}

func TestFaultyOptionsAreRefused(t *testing.T) {
	good := small(t)
	good.Progress, good.Output = nil, nil
	ctx := t.Context()
	tests := map[string]struct {
		err  error
		want []string
	}{
		"no rate": {second(bench.Throughput(ctx, good, bench.Steady{})), []string{"--rate", "--interval"}},
		"not durable": {second(bench.MeasureIdle(ctx, with(good, func(o *bench.Options) {
			o.Postgres = map[string]string{"fsync": "off"}
		}), bench.Idle{})), []string{"--postgres", "fsync"}},
		"several": {second(bench.MeasureIdle(ctx, with(good, func(o *bench.Options) {
			o.Runs, o.Servers, o.Duration = 0, 0, 0
		}), bench.Idle{})), []string{"--runs", "--servers", "--duration"}},
		"a Redis alone": {second(bench.MeasureIdle(ctx, with(good, func(o *bench.Options) {
			o.RedisURL = "redis://127.0.0.1:1"
		}), bench.Idle{})), []string{"--redis-url", "--database-url"}},
		"a search":         {second(bench.MaxThroughput(ctx, good, bench.Search{})), []string{"--from", "--interval", "--precision", "--max-lateness"}},
		"a herd":           {second(bench.MeasureHerd(ctx, good, bench.Herd{Lead: -1})), []string{"--jobs", "--background", "--lead"}},
		"definitions":      {second(bench.MeasureDefinitions(ctx, good, bench.Definitions{Base: 30, Jobs: 29})), []string{"--jobs", "--rate", "--asks"}},
		"history":          {second(bench.MeasureHistory(ctx, good, bench.History{})), []string{"--rate", "--days"}},
		"an only executor": {second(bench.MeasureRecovery(ctx, good, bench.Recovery{Rate: 1, Interval: time.Second, Kills: 1, Down: 1})), []string{"--servers", "--workers"}},
		"a big batch":      {second(bench.MeasureAPI(ctx, good, bench.API{Callers: 1, BatchCallers: 1, Batch: 10_001, Batches: 1})), []string{"--batch"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if firjob.CodeOf(tt.err) != firjob.CodeInvalid {
				t.Fatalf("error %v, want one of what was asked for", tt.err)
			}
			for _, flag := range tt.want {
				if !strings.Contains(tt.err.Error(), flag) {
					t.Errorf("error %v does not name %s", tt.err, flag)
				}
			}
		})
	}
}

func second(_ *bench.Report, err error) error { return err }

func with(o bench.Options, change func(*bench.Options)) bench.Options {
	change(&o)
	return o
}
