package timetable_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/timetable"
)

// instant reads RFC 3339; "" is the zero time.
func instant(t testing.TB, text string) time.Time {
	t.Helper()
	if text == "" {
		return time.Time{}
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestTimetableNext(t *testing.T) {
	t.Parallel()
	at := instant(t, "2027-01-01T00:00:00.1239Z")
	every := firjob.Schedule{Kind: firjob.ScheduleEvery, Interval: firjob.Duration(90 * time.Second)}
	once := firjob.Schedule{Kind: firjob.ScheduleAt, At: &at}
	const anchor = "2026-12-31T23:00:00.0005+00:00"
	tests := map[string]struct {
		schedule    firjob.Schedule
		after, want string
	}{
		"every, before the anchor":   {every, "2026-12-01T00:00:00Z", "2026-12-31T23:01:30Z"},
		"every, just before it":      {every, "2026-12-31T22:59:59.999Z", "2026-12-31T23:01:30Z"},
		"every, at the anchor":       {every, "2026-12-31T23:00:00Z", "2026-12-31T23:01:30Z"},
		"every, just before a fire":  {every, "2026-12-31T23:01:29.999Z", "2026-12-31T23:01:30Z"},
		"every, at a fire":           {every, "2026-12-31T23:01:30Z", "2026-12-31T23:03:00Z"},
		"every, a year on":           {every, "2027-12-31T23:00:00Z", "2027-12-31T23:01:30Z"},
		"every, centuries on":        {firjob.Schedule{Kind: firjob.ScheduleEvery, Interval: firjob.Duration(firjob.MaxInterval)}, "3526-01-01T00:00:00Z", "3530-02-10T23:00:00Z"},
		"at, before":                 {once, "2026-12-31T00:00:00Z", "2027-01-01T00:00:00.123Z"},
		"at, a millisecond before":   {once, "2027-01-01T00:00:00.122Z", "2027-01-01T00:00:00.123Z"},
		"at, then":                   {once, "2027-01-01T00:00:00.123Z", ""},
		"at, after":                  {once, "2028-01-01T00:00:00Z", ""},
		"cron, in its zone":          {firjob.Schedule{Kind: firjob.ScheduleCron, Expr: "0 2 * * *", Timezone: "Asia/Shanghai"}, "2027-01-01T00:00:00Z", "2027-01-01T18:00:00Z"},
		"cron, in UTC by default":    {hourly, "2027-01-01T00:00:00Z", "2027-01-01T01:00:00Z"},
		"cron, skipping a gap":       {firjob.Schedule{Kind: firjob.ScheduleCron, Expr: "30 2 * * *", Timezone: "America/New_York", Gap: "skip"}, "2027-03-14T06:00:00Z", "2027-03-15T06:30:00Z"},
		"cron, twice":                {firjob.Schedule{Kind: firjob.ScheduleCron, Expr: "30 1 * * *", Timezone: "America/New_York", OverlapHour: "twice"}, "2027-11-07T05:30:00Z", "2027-11-07T06:30:00Z"},
		"delay is not time's to say": {pause30, "2027-01-01T00:00:00Z", ""},
		"manual never fires":         {manual, "2027-01-01T00:00:00Z", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			timetable, err := timetable.New(tt.schedule, timetable.Options{Anchor: instant(t, anchor)})
			if err != nil {
				t.Fatal(err)
			}
			got, want := timetable.Next(instant(t, tt.after)), instant(t, tt.want)
			if !got.Equal(want) || got.Location() != time.UTC {
				t.Errorf("Next(%s) = %v, want %v", tt.after, got, want)
			}
		})
	}
}

// The fires of "every" are on the anchor's grid, whoever asks and from when.
func TestEveryKeepsItsGrid(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ms := rapid.Int64Range(0, 2e14)
		anchor := time.UnixMicro(rapid.Int64Range(0, 4e15).Draw(t, "anchor"))
		interval := time.Duration(rapid.Int64Range(100, 1e10).Draw(t, "interval")) * time.Millisecond
		timetable, err := timetable.New(firjob.Schedule{Kind: firjob.ScheduleEvery, Interval: firjob.Duration(interval)}, timetable.Options{Anchor: anchor})
		if err != nil {
			t.Fatal(err)
		}
		after := time.UnixMilli(ms.Draw(t, "after"))
		next := timetable.Next(after)
		if !next.After(after) || (next.UnixMilli()-anchor.UnixMilli())%interval.Milliseconds() != 0 || next.Nanosecond()%1e6 != 0 {
			t.Fatalf("anchor %v, every %v: Next(%v) = %v", anchor, interval, after, next)
		}
		if !after.Before(anchor) && next.Sub(after) > interval {
			t.Fatalf("anchor %v, every %v: Next(%v) = %v leaves one out", anchor, interval, after, next)
		}
		if again := timetable.Next(next.Add(-time.Millisecond)); !again.Equal(next) {
			t.Fatalf("anchor %v, every %v: asked just before %v, got %v", anchor, interval, next, again)
		}
	})
}

func TestTimetableErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		schedule firjob.Schedule
		want     string
	}{
		{firjob.Schedule{}, `"" is not a kind of schedule`},
		{firjob.Schedule{Kind: "never"}, `"never" is not a kind of schedule`},
		{firjob.Schedule{Kind: firjob.ScheduleCron, Expr: "61 * * * *"}, `minute "61"`},
		{firjob.Schedule{Kind: firjob.ScheduleCron, Expr: "* * * * *", Timezone: "Mars"}, `"Mars" is not a known time zone`},
		{firjob.Schedule{Kind: firjob.ScheduleEvery}, "interval 0s is missing"},
		{firjob.Schedule{Kind: firjob.ScheduleEvery, Interval: firjob.Duration(time.Millisecond)}, "interval 1ms is shorter than 100ms"},
		{firjob.Schedule{Kind: firjob.ScheduleDelay, Interval: firjob.Duration(-time.Second)}, "interval -1s is shorter than 100ms"},
		{firjob.Schedule{Kind: firjob.ScheduleDelay, Interval: firjob.Duration(math.MaxInt64)}, "is longer than 87840h"},
		{firjob.Schedule{Kind: firjob.ScheduleAt}, `needs "at"`},
	}
	for _, tt := range tests {
		_, err := timetable.New(tt.schedule, timetable.Options{Anchor: editNow})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: error %v, want one with %q", tt.schedule, err, tt.want)
		}
	}
}

func TestScheduleJSON(t *testing.T) {
	t.Parallel()
	at := instant(t, "2027-01-01T00:00:00Z")
	tests := []struct {
		schedule firjob.Schedule
		want     string
	}{
		{firjob.Schedule{Kind: firjob.ScheduleCron, Expr: "0 0 2 * * *", Timezone: "Asia/Shanghai", Dialect: "unix", Gap: "run_after", OverlapHour: "once"},
			`{"kind":"cron","expr":"0 0 2 * * *","timezone":"Asia/Shanghai","dialect":"unix","gap":"run_after","overlap_hour":"once"}`},
		{firjob.Schedule{Kind: firjob.ScheduleEvery, Interval: firjob.Duration(5 * time.Second)}, `{"kind":"every","interval":"5s"}`},
		{firjob.Schedule{Kind: firjob.ScheduleAt, At: &at}, `{"kind":"at","at":"2027-01-01T00:00:00Z"}`},
		{manual, `{"kind":"manual"}`},
	}
	for _, tt := range tests {
		got, err := json.Marshal(tt.schedule)
		if err != nil || string(got) != tt.want {
			t.Errorf("got  %s, %v\nwant %s", got, err, tt.want)
		}
		var back firjob.Schedule
		if err := json.Unmarshal(got, &back); err != nil || !cmp.Equal(back, tt.schedule) {
			t.Errorf("%s reads as %+v, %v", got, back, err)
		}
	}
}

func TestTimetableText(t *testing.T) {
	t.Parallel()
	at := instant(t, "2027-01-01T01:00:00+01:00")
	tests := []struct {
		schedule firjob.Schedule
		want     string
		warnings int
	}{
		{firjob.Schedule{Kind: firjob.ScheduleCron, Expr: "30 2 * * 1", Timezone: "Asia/Shanghai"}, "at 02:30, on Monday, in Asia/Shanghai", 0},
		{firjob.Schedule{Kind: firjob.ScheduleCron, Expr: "30 2 1 * 1", Timezone: "Asia/Shanghai"},
			"at 02:30, on day 1 of the month or on Monday, in Asia/Shanghai", 1},
		{eachTwo, "every 2s", 0},
		{pause30, "30s after the last one ended", 0},
		{firjob.Schedule{Kind: firjob.ScheduleAt, At: &at}, "once at 2027-01-01T00:00:00Z", 1}, // it is past
		{manual, "only when triggered", 0},
	}
	for _, tt := range tests {
		timetable, err := timetable.New(tt.schedule, timetable.Options{Anchor: editAnchor})
		if err != nil {
			t.Fatal(err)
		}
		if got := timetable.Text(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
		if got := timetable.Warnings(editNow); len(got) != tt.warnings {
			t.Errorf("%q: got warnings %q, want %d", tt.want, got, tt.warnings)
		}
	}
}
