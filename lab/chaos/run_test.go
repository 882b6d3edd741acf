package chaos_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/firjob/firjob/lab/chaos"
)

// binary builds the program under test, so that it can be made to die anywhere.
func binary(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "firjob")
	if out, err := exec.Command("go", "build", "-tags", "chaos", "-o", path, "../../cmd/firjob-lab").CombinedOutput(); err != nil {
		t.Fatalf("build the program under test: %v\n%s", err, out)
	}
	return path
}

// Every kind of harm that takes little time, on a cluster under a small load. The
// command "firjob-lab chaos" does the same for longer, and on other topologies.
func TestAClusterKeepsItsPromisesUnderFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a minute")
	}
	t.Parallel()
	dir := t.TempDir()
	o := chaos.Options{
		Dir: dir, Seed: 7, Duration: 70 * time.Second, Topology: chaos.Single, Rate: 40, Servers: 2, Workers: 3, Binary: binary(t),
		Quiet: 5 * time.Second, OnMin: 400 * time.Millisecond, OnMax: 1300 * time.Millisecond, Off: 200 * time.Millisecond,
		Progress: func(line string) { t.Logf("%s %s", time.Now().Format("15:04:05.000"), line) },
	}
	o = chaos.WithFailpoints(o)
	report, err := chaos.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := report.Write(&text); err != nil {
		t.Fatal(err)
	}
	t.Log(text.String())
	if !report.Held() {
		said, _ := os.ReadFile(filepath.Join(dir, "report.txt"))
		t.Errorf("what is promised did not hold:\n%s", said)
	}
	if report.Targets < 1000 || len(report.Quiet) == 0 || len(report.Disturbed) == 0 || report.Triggered == 0 {
		t.Errorf("%d fires, %d triggers, %d quiet and %d disturbed starts: the test shows little",
			report.Targets, report.Triggered, len(report.Quiet), len(report.Disturbed))
	}
	for _, class := range o.Known() {
		if report.Faults[class] == 0 && (os.Getuid() == 0 || class != "postgres-disk-full") { // which only root can do
			t.Errorf("the fault %s was not inflicted: it could not be done, or the run is too short for its seed", class)
		}
	}
	if report.Gaps == 0 || report.Repeats == 0 {
		t.Errorf("the clocks changed %d times forward and %d times back, want both", report.Gaps, report.Repeats)
	}
	for _, name := range []string{"schedule.txt", "history.jsonl", "dump.json", "timeline.svg", "logs/server-1.log", "logs/worker-1.log"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v, %v; want that it tells something", name, info, err)
		}
	}
}

func TestTheSameSeedGivesTheSameSchedule(t *testing.T) {
	t.Parallel()
	for _, topology := range []chaos.Topology{chaos.Single, chaos.Sentinel, chaos.Cluster} {
		plan := func(seed uint64) string {
			steps, err := chaos.Plan(chaos.Options{Dir: "x", Seed: seed, Duration: time.Hour, Topology: topology})
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprint(steps)
		}
		seven, again, eight := plan(7), plan(7), plan(8)
		if seven != again || seven == eight {
			t.Errorf("%s: schedules do not follow from their seeds alone", topology)
		}
	}
}

func TestAScheduleHasEachClassAndLeavesTimeBetween(t *testing.T) {
	t.Parallel()
	for _, topology := range []chaos.Topology{chaos.Single, chaos.Sentinel, chaos.Cluster} {
		o := chaos.Options{Dir: "x", Seed: 3, Duration: time.Hour, Topology: topology, Off: 10 * time.Second}
		steps, err := chaos.Plan(o)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		var busy time.Duration // until then a fault was at work
		for i, s := range steps {
			seen[s.Class] = true
			together := i > 0 && s.At < busy
			if i > 0 && !together && s.At < busy+o.Off {
				t.Errorf("%v begins %v after the end of the one before, want %v", s, s.At-busy, o.Off)
			}
			if together && s.Target == steps[i-1].Target {
				t.Errorf("%v and %v are done at once", s, steps[i-1])
			}
			if s.At+s.For > o.Duration {
				t.Errorf("%v ends after the load", s)
			}
			busy = max(busy, s.At+s.For)
		}
		for _, class := range chaos.Classes(topology) {
			if !seen[class] {
				t.Errorf("%s: an hour has no %s", topology, class)
			}
		}
	}
}

func TestFaultyOptionsAreNamed(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]chaos.Options{
		"no folder":      {Duration: time.Hour},
		"no topology":    {Dir: "x", Duration: time.Hour, Topology: "ring"},
		"no time":        {Dir: "x", Duration: time.Second},
		"no fault left":  {Dir: "x", Duration: time.Hour, Classes: []string{}},
		"unknown fault":  {Dir: "x", Duration: time.Hour, Classes: []string{"earthquake"}},
		"other topology": {Dir: "x", Duration: time.Hour, Topology: chaos.Cluster, Classes: []string{"redis-failover"}},
	} {
		if _, err := chaos.Plan(o); err == nil {
			t.Errorf("%s: got a schedule, want an error", name)
		}
	}
}
