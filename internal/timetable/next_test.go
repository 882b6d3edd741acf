package timetable_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/cronspec"
	"github.com/firjob/firjob/internal/timetable"
)

// anySchedule draws a schedule with a window, calendars and jitter, and how long
// a stretch of it has a few hundred fires.
func anySchedule(t *rapid.T) (firjob.Schedule, time.Duration) {
	zone := rapid.SampledFrom([]string{"UTC", "America/New_York", "Africa/Casablanca"}).Draw(t, "zone")
	var s firjob.Schedule
	var stretch time.Duration
	if rapid.Bool().Draw(t, "cron") {
		s = firjob.Schedule{Kind: firjob.ScheduleCron, Timezone: zone}
		drawn := rapid.SampledFrom([]struct {
			expr    string
			stretch time.Duration
		}{{"* * * * * *", 5 * time.Minute}, {"*/7 9-17 * * *", 3 * 24 * time.Hour}, {"0,59 * * * *", 7 * 24 * time.Hour},
			{"30 2 * * *", 90 * 24 * time.Hour}, {"0 0 1,15 * *", 400 * 24 * time.Hour}, {"0-5 0 10 * * *", 30 * 24 * time.Hour}}).Draw(t, "expr")
		s.Expr, stretch = drawn.expr, drawn.stretch
	} else {
		interval := time.Duration(rapid.Int64Range(100, 2*24*3600*1000).Draw(t, "interval")) * time.Millisecond
		s, stretch = firjob.Schedule{Kind: firjob.ScheduleEvery, Interval: span(interval), Timezone: zone}, 200*interval
	}
	if rapid.Bool().Draw(t, "jittered") {
		s.Jitter = span(time.Duration(rapid.Int64Range(1, 24*3600*1000).Draw(t, "jitter")) * time.Millisecond)
	}
	return s, stretch
}

// definition lists the fires of (start, end] by the book: base instants, those
// that window and calendars permit, put off.
func definition(t *rapid.T, s firjob.Schedule, o timetable.Options, start, end time.Time) []time.Time {
	bare := s
	bare.StartAt, bare.EndAt, bare.Jitter, bare.Calendars = nil, nil, 0, nil
	if s.Kind == firjob.ScheduleEvery {
		if bare.StartAt = s.StartAt; bare.StartAt == nil {
			bare.StartAt = new(o.Anchor.Add(s.Interval.Std()))
		}
	}
	base, err := timetable.New(bare, timetable.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var fires []time.Time
	// A fire stays before the next base instant, so in a dense schedule what is
	// put off to after start lies close before it.
	from := start.Add(-firjob.MaxJitter)
	if gap := max(s.Interval.Std(), time.Second); s.Kind == firjob.ScheduleEvery || s.Expr == "* * * * * *" {
		from = start.Add(-2 * gap)
	}
	for at := base.Next(from); !at.After(end); at = base.Next(at) {
		if at.Before(start) && s.Jitter == 0 || !base.Next(at).After(start) || !permittedByDefinition(t, s, o, at) {
			continue
		}
		fire := at
		if s.Jitter > 0 {
			room := min(s.Jitter.Std(), base.Next(at).Sub(at)-time.Millisecond)
			if s.EndAt != nil {
				room = min(room, s.EndAt.Sub(at)-time.Millisecond)
			}
			fire = at.Add(time.Duration(cronspec.Draw(o.Seed, uint64(at.UnixMilli()), uint64(room/time.Millisecond)+1)) * time.Millisecond)
		}
		if fire.After(start) && !fire.After(end) {
			fires = append(fires, fire)
		}
	}
	return fires
}

func permittedByDefinition(t *rapid.T, s firjob.Schedule, o timetable.Options, at time.Time) bool {
	if s.StartAt != nil && at.Before(*s.StartAt) || s.EndAt != nil && !at.Before(*s.EndAt) {
		return false
	}
	zone, err := cronspec.Zone(s.Timezone)
	if err != nil {
		t.Fatal(err)
	}
	return !slices.ContainsFunc(o.Calendars, func(c firjob.Calendar) bool { return !permitsByDefinition(c, zone, at) })
}

// Asked from anywhere, Next gives the same fires in order, none lost, none
// twice: those of the definition.
func TestNextKeepsToTheDefinition(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, stretch := anySchedule(t)
		start := time.UnixMilli(rapid.Int64Range(1514764800000, 1546300800000).Draw(t, "start")).UTC()
		end := start.Add(stretch)
		within := rapid.Custom(func(t *rapid.T) time.Time {
			return start.Add(time.Duration(rapid.Float64Range(-0.5, 1.5).Draw(t, "part") * float64(stretch))).Truncate(time.Millisecond)
		})
		o := timetable.Options{Anchor: within.Draw(t, "anchor"), Seed: rapid.Uint64().Draw(t, "seed")}
		if rapid.Bool().Draw(t, "from") {
			at := within.Draw(t, "start_at")
			s.StartAt = &at
		}
		if rapid.Bool().Draw(t, "until") {
			at := within.Draw(t, "end_at")
			s.EndAt = &at
		}
		for _, name := range []string{"a", "b"}[:rapid.IntRange(0, 2).Draw(t, "calendars")] {
			s.Calendars, o.Calendars = append(s.Calendars, name), append(o.Calendars, anyCalendar(name).Draw(t, name))
		}
		timetable, err := timetable.New(s, o)
		if err != nil {
			t.Fatal(err)
		}
		want := definition(t, s, o, start, end)
		var got []time.Time
		for at := timetable.Next(start); !at.IsZero() && !at.After(end); at = timetable.Next(at) {
			got = append(got, at)
		}
		if !slices.EqualFunc(got, want, time.Time.Equal) {
			t.Fatalf("%+v: got %d fires %v\nwant %d fires %v", s, len(got), got, len(want), want)
		}
		asked := start.Add(time.Duration(rapid.Float64Range(0, 1).Draw(t, "asked") * float64(stretch)))
		i := slices.IndexFunc(want, asked.Before)
		if next := timetable.Next(asked); i >= 0 && !next.Equal(want[i]) || i < 0 && !next.IsZero() && !next.After(end) {
			t.Fatalf("%+v: Next(%v) = %v, want the next of %v", s, asked, next, want)
		}
	})
}

// Jitter is the same for the same seed, and spreads jobs of other names.
func TestJitterFollowsFromTheName(t *testing.T) {
	t.Parallel()
	s := firjob.Schedule{Kind: firjob.ScheduleCron, Expr: "0 0 * * *", Jitter: span(time.Hour)}
	job := func(app, name string) firjob.Job {
		j := jobWith(s, true)
		j.App, j.Name = app, name
		return j
	}
	first := func(j firjob.Job) time.Time {
		at, err := timetable.FirstFire(j, editNow, editAnchor)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	report := first(job("billing", "report"))
	if again := first(job("billing", "report")); !again.Equal(report) {
		t.Errorf("the same job fires at %v and at %v", report, again)
	}
	midnight := editNow.Truncate(24 * time.Hour).Add(24 * time.Hour)
	quarters := map[int]int{}
	for _, app := range []string{"a", "b", "c", "d"} {
		for name := 'a'; name <= 'z'; name++ {
			at := first(job(app, string(name)))
			if at.Before(midnight) || at.After(midnight.Add(time.Hour)) {
				t.Errorf("%s/%c fires at %v", app, name, at)
			}
			quarters[at.Minute()/15]++
		}
	}
	for quarter := range 4 {
		if n := quarters[quarter]; n < 10 || n > 45 {
			t.Errorf("%d of 104 jobs fire in quarter %d of the hour", n, quarter)
		}
	}
}

func TestEveryCountsFromStartAt(t *testing.T) {
	t.Parallel()
	start := instant(t, "2027-02-01T09:00:00Z")
	s := firjob.Schedule{Kind: firjob.ScheduleEvery, Interval: span(24 * time.Hour), StartAt: &start}
	for after, want := range map[string]string{
		"2027-01-01T00:00:00Z": "2027-02-01T09:00:00Z",
		"2027-02-01T09:00:00Z": "2027-02-02T09:00:00Z",
		"2027-03-01T12:00:00Z": "2027-03-02T09:00:00Z",
	} {
		timetable, err := timetable.New(s, timetable.Options{Anchor: editNow})
		if err != nil {
			t.Fatal(err)
		}
		if got := timetable.Next(instant(t, after)); !got.Equal(instant(t, want)) {
			t.Errorf("Next(%s) = %v, want %s", after, got, want)
		}
	}
}

// An hour's minutes, one calendar for every sixth: none permits what another one
// does, but for a date that all of them name.
func shutEachOther(date string) []firjob.Calendar {
	var list []firjob.Calendar
	for minute := 0; minute < 60; minute += 60 / firjob.MaxCalendars {
		c := firjob.Calendar{Name: fmt.Sprint(minute), Mode: firjob.CalendarInclude, Dates: []firjob.DateRange{{From: date}}}
		for hour := range 24 {
			c.Hours = append(c.Hours, firjob.HourRange{From: fmt.Sprintf("%02d:%02d", hour, minute), Until: fmt.Sprintf("%02d:%02d", hour, minute+1)})
		}
		list = append(list, c)
	}
	return list
}

// However calendars turn a search away, it ends soon.
func TestSearchIsBounded(t *testing.T) {
	t.Parallel()
	yearly := []firjob.DateRange{{From: "2027-01-01", Until: "2027-12-31", Yearly: true}}
	tests := map[string]struct {
		calendars []firjob.Calendar
		want      string
	}{
		"soon":                          {shutEachOther("2028-01-01"), "2028-01-01T00:00:00Z"},
		"after hundreds of looks a day": {shutEachOther("2046-01-01"), ""},
		"after one look a day": {[]firjob.Calendar{
			{Name: "weekdays", Mode: firjob.CalendarInclude, Weekdays: workdays.Weekdays, Dates: []firjob.DateRange{{From: "2046-01-01"}}},
			{Name: "weekends", Mode: firjob.CalendarInclude, Weekdays: []string{"sat", "sun"}, Dates: []firjob.DateRange{{From: "2046-01-01"}}},
		}, "2046-01-01T00:00:00Z"},
		"never": {[]firjob.Calendar{{Name: "all", Mode: firjob.CalendarExclude, Dates: yearly}}, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, want := firstPermitted(t, following("", tt.calendars...), editNow), instant(t, tt.want); !got.Equal(want) {
				t.Errorf("got %v, want %v", got, want)
			}
			j := following("Europe/Berlin", tt.calendars...)
			j.Schedule.Kind, j.Schedule.Interval, j.Schedule.Expr = firjob.ScheduleCron, 0, "* * * * * *"
			if got, err := timetable.FirstFire(j, editNow, editAnchor); err != nil || got.IsZero() != (tt.want == "") {
				t.Errorf("each second: got %v, %v; want %q", got, err, tt.want)
			}
		})
	}
}

func BenchmarkTimetableNext(b *testing.B) {
	cron := firjob.Schedule{Kind: firjob.ScheduleCron, Expr: "*/5 * * * *", Timezone: "Europe/Berlin"}
	every := firjob.Schedule{Kind: firjob.ScheduleEvery, Interval: span(30 * time.Second)}
	with := func(s firjob.Schedule, jitter time.Duration, calendars ...string) firjob.Schedule {
		s.Jitter, s.Calendars = span(jitter), calendars
		return s
	}
	for name, s := range map[string]firjob.Schedule{
		"cron": cron, "every": every,
		"cron-jitter":           with(cron, time.Minute),
		"cron-second-jitter-1h": with(firjob.Schedule{Kind: firjob.ScheduleCron, Expr: "* * * * * *"}, time.Hour),
		"cron-night-jitter-24h": with(firjob.Schedule{Kind: firjob.ScheduleCron, Expr: "* * 0-10 * * *"}, firjob.MaxJitter),
		"every-jitter":          with(every, time.Minute),
		"cron-calendar":         with(cron, 0, "workdays"),
		"cron-two-calendars":    with(cron, 0, "workdays", "nights"),
	} {
		b.Run(name, func(b *testing.B) { benchmarkNext(b, s, workdays, nights) })
	}
}

func benchmarkNext(b *testing.B, s firjob.Schedule, calendars ...firjob.Calendar) {
	timetable, err := timetable.New(s, timetable.Options{Anchor: editAnchor, Seed: 1, Calendars: calendars})
	if err != nil {
		b.Fatal(err)
	}
	at := editNow
	b.ReportAllocs()
	for b.Loop() {
		if at = timetable.Next(at); at.Year() > 2060 {
			at = editNow
		}
	}
}
