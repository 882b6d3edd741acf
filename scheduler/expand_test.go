package scheduler

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/internal/timetable"
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

func everyTen(t testing.TB) *timetable.Timetable {
	t.Helper()
	times, err := timetable.New(firjob.Schedule{Kind: firjob.ScheduleEvery, Interval: firjob.Duration(10 * time.Second)}, timetable.Options{Anchor: noon.Add(-720 * time.Hour)})
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
			e := expansion{times: everyTen(t), now: noon, until: noon.Add(35 * time.Second), misfire: misfire(c.misfire, c.grace)}
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

func checkMissed(t *testing.T, got *ports.Missed, want []int) {
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
	e := expansion{times: everyTen(t), now: now, until: now.Add(10 * time.Second), misfire: misfire(firjob.MisfireFireOnce, 5*time.Second)}
	got := e.plan(at(-20)[0])
	if diff := cmp.Diff(at(0, 10), got.Fires); diff != "" {
		t.Errorf("fires (-want +got):\n%s", diff)
	}
	checkMissed(t, got.Missed, []int{-20, -10, 2})
}

func TestFireAllIsCapped(t *testing.T) {
	t.Parallel()
	for _, most := range []int{1, 7, firjob.MaxCatchUp} {
		e := expansion{times: everyTen(t), now: noon, until: noon, misfire: misfire(firjob.MisfireFireAll, time.Second)}
		e.misfire.MaxCatchUp = most
		got := e.plan(noon.Add(-20_000 * time.Second))
		late := slices.DeleteFunc(got.Fires, func(f time.Time) bool { return !f.Before(noon) })
		if len(late) != most || !late[0].Equal(noon.Add(-time.Duration(most)*10*time.Second)) {
			t.Errorf("%d late fires run, the first at %v; want the latest %d", len(late), late[0], most)
		}
		if got.Missed == nil || got.Missed.Count != 2000-most {
			t.Errorf("missed %+v, want the first %d of 2000 late fires", got.Missed, 2000-most)
		}
	}
}

func TestReasonsOfMissedRanges(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]struct {
		misfire firjob.Misfire
		back    int
	}{
		"3 fires were later than the grace of 5s when the servers came to plan: misfire policy skip runs none":                          {misfire(firjob.MisfireSkip, 5*time.Second), 30},
		"this fire was later than the grace of 5s when the servers came to plan: misfire policy skip runs none":                         {misfire(firjob.MisfireSkip, 5*time.Second), 10},
		"3 fires were later than the grace of 0s when the servers came to plan: misfire policy fire_once runs one fire for all of them": {misfire(firjob.MisfireFireOnce, 0), 30},
		"28 fires were later than the grace of 1s when the servers came to plan: misfire policy fire_all runs the latest 2 only (max_catch_up)": {
			firjob.Misfire{Policy: firjob.MisfireFireAll, Grace: firjob.Duration(time.Second), MaxCatchUp: 2}, 300},
		"at least 10000 fires were later than the grace of 5s when the servers came to plan: misfire policy skip runs none": {misfire(firjob.MisfireSkip, 5*time.Second), 200_000},
	} {
		e := expansion{times: everyTen(t), now: noon, until: noon, misfire: c.misfire}
		if got := e.plan(at(-c.back)[0]).Missed; got == nil || got.Reason != want {
			t.Errorf("got %+v, want the reason %q", got, want)
		}
	}
}

// After its last fire a job is over: it has no next one.
func TestExpansionEnds(t *testing.T) {
	t.Parallel()
	end := noon.Add(25 * time.Second)
	times, err := timetable.New(
		firjob.Schedule{Kind: firjob.ScheduleEvery, Interval: firjob.Duration(10 * time.Second), EndAt: &end},
		timetable.Options{Anchor: noon.Add(-24 * time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		now   int
		fires []int
		count int
	}{
		"before":           {0, []int{0, 10, 20}, 0},
		"after, too late":  {60, []int{20}, 2},
		"after, in grace":  {24, []int{20}, 2},
		"long after, once": {100_000, []int{20}, 2},
	} {
		e := expansion{times: times, now: at(c.now)[0], until: at(c.now)[0].Add(time.Minute), misfire: misfire(firjob.MisfireFireOnce, 5*time.Second)}
		got := e.plan(noon)
		if diff := cmp.Diff(at(c.fires...), got.Fires); diff != "" {
			t.Errorf("%s: fires (-want +got):\n%s", name, diff)
		}
		if count := missedCount(got); !got.Next.IsZero() || count != c.count {
			t.Errorf("%s: %d missed, next %v; want %d and none", name, count, got.Next, c.count)
		}
	}
}

func TestAYearOfBacklogIsCheap(t *testing.T) {
	t.Parallel()
	times, err := timetable.New(firjob.Schedule{Kind: firjob.ScheduleCron, Expr: "* * * * * *", Timezone: "UTC"}, timetable.Options{Anchor: noon})
	if err != nil {
		t.Fatal(err)
	}
	e := expansion{times: times, now: noon, until: noon.Add(time.Minute), misfire: misfire(firjob.MisfireFireOnce, 5*time.Second)}
	got := e.plan(noon.AddDate(-1, 0, 0))
	if got.Missed == nil || got.Missed.Count != maxCounted {
		t.Errorf("missed %+v, want the count to stop at %d", got.Missed, maxCounted)
	}
	if want := noon.Add(-6 * time.Second); got.Missed != nil && !got.Missed.Until.Equal(want) {
		t.Errorf("missed until %v, want %v", got.Missed.Until, want)
	}
}

// Whatever the policy and the timetable, every fire before Next is planned or
// in the missed range exactly once, in order; as many late ones run as the policy
// says, the latest; and none that is within the grace is missed.
func TestExpansionLosesNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		times := drawTimetable(t)
		first := times.Next(noon.Add(-time.Duration(rapid.IntRange(0, 5000).Draw(t, "seconds back")) * time.Second))
		if first.IsZero() {
			t.Skip("no fire")
		}
		now := noon.Add(time.Duration(rapid.IntRange(0, 9999).Draw(t, "ms")) * time.Millisecond)
		e := expansion{times: times, now: now, until: now.Add(time.Minute), misfire: firjob.Misfire{
			Policy:     rapid.SampledFrom([]firjob.MisfirePolicy{firjob.MisfireFireOnce, firjob.MisfireSkip, firjob.MisfireFireAll}).Draw(t, "policy"),
			Grace:      firjob.Duration(rapid.IntRange(0, 1000).Draw(t, "grace")) * firjob.Duration(time.Second),
			MaxCatchUp: rapid.IntRange(1, 40).Draw(t, "max catch up"),
		}}
		plan := e.plan(first)

		end := plan.Next
		if end.IsZero() {
			end = e.until.Add(time.Hour)
		}
		fires := slices.Collect(times.Between(first, end))
		missed := missedCount(plan)
		if missed+len(plan.Fires) != len(fires) || !slices.EqualFunc(plan.Fires, fires[missed:], time.Time.Equal) {
			t.Fatalf("%d missed, and planned are %v; the fires are %v", missed, plan.Fires, fires)
		}
		if m := plan.Missed; m != nil && (!m.From.Equal(first) || !m.Until.Equal(fires[missed-1]) || !m.Until.Before(e.deadline())) {
			t.Fatalf("missed %+v; the fires are %v, the deadline %v", *m, fires[:missed], e.deadline())
		}
		checkLate(t, e, plan, fires)
	})
}

func checkLate(t *rapid.T, e expansion, plan ports.Plan, fires []time.Time) {
	late, inGrace := 0, 0
	for _, f := range fires {
		if f.Before(e.deadline()) {
			late++
		} else if !f.After(e.now) {
			inGrace++
		}
	}
	want := 0
	switch {
	case e.misfire.Policy == firjob.MisfireFireOnce && inGrace == 0:
		want = min(late, 1)
	case e.misfire.Policy == firjob.MisfireFireAll:
		want = min(late, e.misfire.MaxCatchUp)
	}
	if run := late - missedCount(plan); run != want {
		t.Fatalf("%s: %d of %d late fires run, %d are within the grace; want %d", e.misfire.Policy, run, late, inGrace, want)
	}
}

// drawTimetable draws a schedule with a window, a calendar and jitter.
func drawTimetable(t *rapid.T) *timetable.Timetable {
	seconds := func(n int) firjob.Duration { return firjob.Duration(n) * firjob.Duration(time.Second) }
	s := firjob.Schedule{Kind: firjob.ScheduleEvery, Interval: seconds(rapid.IntRange(2, 200).Draw(t, "interval"))}
	if rapid.Bool().Draw(t, "cron") {
		s = firjob.Schedule{Kind: firjob.ScheduleCron, Expr: rapid.SampledFrom([]string{"*/7 * * * * *", "* * * * *", "3 2/5 * * * *"}).Draw(t, "expr"), Timezone: "UTC"}
	} else if rapid.Bool().Draw(t, "jittered") {
		s.Jitter = s.Interval / 2
	}
	if rapid.Bool().Draw(t, "ends") {
		s.EndAt = new(noon.Add(time.Duration(rapid.IntRange(-3000, 60).Draw(t, "end")) * time.Second))
	}
	if rapid.Bool().Draw(t, "starts") {
		s.StartAt = new(noon.Add(-time.Duration(rapid.IntRange(1, 6000).Draw(t, "start")) * time.Second))
	}
	o := timetable.Options{Anchor: noon.Add(-24 * time.Hour), Seed: rapid.Uint64().Draw(t, "seed")}
	if rapid.Bool().Draw(t, "has calendar") {
		s.Calendars = []string{"quiet"}
		o.Calendars = []firjob.Calendar{{Name: "quiet", Version: 1,
			Mode:  rapid.SampledFrom([]firjob.CalendarMode{firjob.CalendarExclude, firjob.CalendarInclude}).Draw(t, "mode"),
			Hours: []firjob.HourRange{{From: "11:20", Until: rapid.SampledFrom([]string{"11:40", "11:59", "12:01"}).Draw(t, "until")}}}}
	}
	times, err := timetable.New(s, o)
	if err != nil {
		t.Fatal(err)
	}
	return times
}

func missedCount(p ports.Plan) int {
	if p.Missed == nil {
		return 0
	}
	return p.Missed.Count
}

func misfire(policy firjob.MisfirePolicy, grace time.Duration) firjob.Misfire {
	return firjob.Misfire{Policy: policy, Grace: firjob.Duration(grace), MaxCatchUp: firjob.MaxCatchUp}
}
