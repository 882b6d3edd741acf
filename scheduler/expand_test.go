package scheduler

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/firjob/firjob"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// at returns noon and so many seconds.
func at(seconds ...int) []time.Time {
	times := make([]time.Time, len(seconds))
	for i, s := range seconds {
		times[i] = noon.Add(time.Duration(s) * time.Second)
	}
	return times
}

func everyTen(t testing.TB) *firjob.Timetable {
	t.Helper()
	times, err := firjob.Schedule{Kind: firjob.ScheduleEvery, Interval: firjob.Duration(10 * time.Second)}.Timetable(noon.Add(-24 * time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return times
}

func TestExpansion(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		misfire firjob.MisfirePolicy
		grace   time.Duration
		next    int // seconds from now, noon
		fires   []int
		missed  []int // first, last, count
		after   int
	}{
		"coming":                    {firjob.MisfireFireOnce, 5 * time.Second, 10, []int{10, 20, 30}, nil, 40},
		"exactly due":               {firjob.MisfireFireOnce, 5 * time.Second, 0, []int{0, 10, 20, 30}, nil, 40},
		"within the grace all fire": {firjob.MisfireSkip, 25 * time.Second, -20, []int{-20, -10, 0, 10, 20, 30}, nil, 40},
		"fire_once runs the latest": {firjob.MisfireFireOnce, 5 * time.Second, -40, []int{0, 10, 20, 30}, []int{-40, -10, 4}, 40},
		"skip":                      {firjob.MisfireSkip, 5 * time.Second, -40, []int{0, 10, 20, 30}, []int{-40, -10, 4}, 40},
		"fire_all":                  {firjob.MisfireFireAll, 5 * time.Second, -30, []int{-30, -20, -10, 0, 10, 20, 30}, nil, 40},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := expansion{times: everyTen(t), now: noon, until: noon.Add(35 * time.Second), deadline: noon.Add(-c.grace), misfire: c.misfire}
			got := e.plan(at(c.next)[0])
			if diff := cmp.Diff(at(c.fires...), got.Fires); diff != "" {
				t.Errorf("fires (-want +got):\n%s", diff)
			}
			if want := at(c.after)[0]; !got.Next.Equal(want) {
				t.Errorf("next = %v, want %v", got.Next, want)
			}
			checkMissed(t, got.Missed, c.missed)
		})
	}
}

func checkMissed(t *testing.T, got *firjob.Missed, want []int) {
	t.Helper()
	switch {
	case want == nil && got != nil:
		t.Errorf("missed %+v, want none", *got)
	case want == nil:
	case got == nil:
		t.Errorf("none missed, want %v", want)
	default:
		ends := at(want[0], want[1])
		if !got.From.Equal(ends[0]) || !got.Until.Equal(ends[1]) || got.Count != want[2] || got.Reason == "" {
			t.Errorf("missed %+v, want %d from %v to %v and a reason", *got, want[2], ends[0], ends[1])
		}
	}
}

func TestFireOnceRunsTheLatestLateFire(t *testing.T) {
	t.Parallel()
	// Now lies 7 s after a fire, the grace is 5 s: no fire is within it.
	now := noon.Add(7 * time.Second)
	e := expansion{times: everyTen(t), now: now, until: now.Add(10 * time.Second), deadline: now.Add(-5 * time.Second), misfire: firjob.MisfireFireOnce}
	got := e.plan(at(-20)[0])
	if diff := cmp.Diff(at(0, 10), got.Fires); diff != "" {
		t.Errorf("fires (-want +got):\n%s", diff)
	}
	checkMissed(t, got.Missed, []int{-20, -10, 2})
}

func TestFireAllIsCapped(t *testing.T) {
	t.Parallel()
	e := expansion{times: everyTen(t), now: noon, until: noon, deadline: noon.Add(-time.Second), misfire: firjob.MisfireFireAll}
	got := e.plan(noon.Add(-20_000 * time.Second))
	if len(got.Fires) != firjob.MaxCatchUp {
		t.Errorf("%d fires run, want the cap of %d", len(got.Fires), firjob.MaxCatchUp)
	}
	if got.Missed == nil || got.Missed.Count != 1000 {
		t.Errorf("missed %+v, want the first 1000 of 2000 late fires", got.Missed)
	}
}

func TestAYearOfBacklogIsCheap(t *testing.T) {
	t.Parallel()
	times, err := firjob.Schedule{Kind: firjob.ScheduleCron, Expr: "* * * * * *", Timezone: "UTC"}.Timetable(noon)
	if err != nil {
		t.Fatal(err)
	}
	e := expansion{times: times, now: noon, until: noon.Add(time.Minute), deadline: noon.Add(-5 * time.Second), misfire: firjob.MisfireFireOnce}
	got := e.plan(noon.AddDate(-1, 0, 0))
	if got.Missed == nil || got.Missed.Count != maxCounted {
		t.Errorf("missed %+v, want the count to stop at %d", got.Missed, maxCounted)
	}
	if want := noon.Add(-6 * time.Second); got.Missed != nil && !got.Missed.Until.Equal(want) {
		t.Errorf("missed until %v, want %v", got.Missed.Until, want)
	}
}

// Whatever the policy, every fire before Next is planned or in the missed range
// exactly once, in order.
func TestExpansionLosesNothing(t *testing.T) {
	t.Parallel()
	times := everyTen(t)
	rapid.Check(t, func(t *rapid.T) {
		back := rapid.IntRange(0, 500).Draw(t, "fires back")
		grace := time.Duration(rapid.IntRange(0, 1000).Draw(t, "grace")) * time.Second
		now := noon.Add(time.Duration(rapid.IntRange(0, 9999).Draw(t, "ms")) * time.Millisecond)
		policy := rapid.SampledFrom([]firjob.MisfirePolicy{firjob.MisfireFireOnce, firjob.MisfireSkip, firjob.MisfireFireAll}).Draw(t, "policy")
		first := noon.Add(-time.Duration(10*back) * time.Second)
		e := expansion{times: times, now: now, until: now.Add(time.Minute), deadline: now.Add(-grace), misfire: policy}
		plan := e.plan(first)
		counted := len(plan.Fires)
		seen := time.Time{}
		if plan.Missed != nil {
			counted += plan.Missed.Count
			seen = plan.Missed.Until
		}
		for _, f := range plan.Fires {
			if !f.After(seen) {
				t.Fatalf("fire %v is not after %v", f, seen)
			}
			seen = f
		}
		if want := int(plan.Next.Sub(first) / (10 * time.Second)); counted != want {
			t.Fatalf("%d fires are accounted for before %v, want %d", counted, plan.Next, want)
		}
	})
}
