package timetable_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/timetable"
)

func TestWhyNot(t *testing.T) {
	t.Parallel()
	start, end := instant(t, "2027-01-01T00:00:00Z"), instant(t, "2027-06-01T00:00:00Z")
	cron := func(expr string, change func(s *firjob.Schedule)) firjob.Schedule {
		s := firjob.Schedule{Kind: firjob.ScheduleCron, Expr: expr, Timezone: "America/New_York"}
		if change != nil {
			change(&s)
		}
		return s
	}
	window := func(s *firjob.Schedule) { s.StartAt, s.EndAt = &start, &end }
	calendars := func(names ...string) func(*firjob.Schedule) {
		return func(s *firjob.Schedule) { s.Calendars, s.Timezone = names, "" }
	}
	weekend := firjob.Calendar{Name: "weekend", Version: 2, Mode: firjob.CalendarExclude, Weekdays: []string{"sat", "sun"},
		Hours: []firjob.HourRange{{From: "22:00", Until: "06:00"}}}
	every := firjob.Schedule{Kind: firjob.ScheduleEvery, Interval: span(time.Hour)}
	delay := firjob.Schedule{Kind: firjob.ScheduleDelay, Interval: span(time.Hour), EndAt: &end}
	tests := map[string]struct {
		schedule firjob.Schedule
		at, want string
	}{
		"a fire":              {cron("30 2 * * *", nil), "2027-01-05T07:30:00Z", ""},
		"no instant":          {cron("30 2 * * *", nil), "2027-01-05T07:30:00.001Z", "it is not an instant of the schedule"},
		"a gap":               {cron("30 2 * * *", func(s *firjob.Schedule) { s.Gap = "skip" }), "2027-03-14T07:30:00Z", "on 2027-03-14 the clocks of America/New_York skip 02:30: its fire does not happen"},
		"a repeated hour":     {cron("30 1 * * *", nil), "2027-11-07T06:30:00Z", "the clocks of America/New_York show 01:30 for the second time"},
		"before the window":   {cron("30 2 * * *", window), "2026-12-31T07:30:00Z", "it lies before start_at, 2027-01-01T00:00:00Z"},
		"within it":           {cron("30 2 * * *", window), "2027-01-01T07:30:00Z", ""},
		"after the window":    {cron("0 * * * *", window), "2027-06-01T00:00:00Z", "it does not lie before end_at, 2027-06-01T00:00:00Z"},
		"a holiday":           {cron("0 9 * * *", calendars("holidays")), "2027-01-01T09:00:00Z", `calendar "holidays" version 3 leaves out 2027-01-01`},
		"a weekend":           {cron("0 9 * * *", calendars("holidays", "weekend")), "2027-01-09T09:00:00Z", `calendar "weekend" version 2 leaves out Saturdays`},
		"a night":             {cron("0 * * * *", calendars("weekend")), "2027-01-04T23:00:00Z", `calendar "weekend" version 2 leaves out 22:00 to 06:00`},
		"not included":        {cron("0 9 * * *", calendars("workdays")), "2027-01-09T09:00:00Z", `calendar "workdays" version 1 does not include Saturday 2027-01-09 09:00:00 in UTC`},
		"on the grid":         {every, "2027-01-01T05:00:00Z", ""},
		"off the grid":        {every, "2027-01-01T05:00:01Z", "it is not an instant of the schedule"},
		"manual":              {manual, "2027-01-01T05:00:00Z", `a schedule of kind "manual" has no instants`},
		"at":                  {ahead, tomorrow.Format(time.RFC3339Nano), ""},
		"not at":              {ahead, "2027-01-01T05:00:00Z", "it is not an instant of the schedule"},
		"delay":               {delay, "2027-01-01T05:00:00Z", ""},
		"delay past its end":  {delay, "2027-06-01T05:00:00Z", "it does not lie before end_at"},
		"a base instant":      {cron("30 2 * * *", func(s *firjob.Schedule) { s.Jitter = span(time.Hour) }), "2027-01-05T07:30:00Z", "jitter puts it off to 2027-01-05T"},
		"neither base nor it": {cron("30 2 * * *", func(s *firjob.Schedule) { s.Jitter = span(time.Hour) }), "2027-01-05T07:29:00Z", "it is not an instant of the schedule"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			timetable, err := timetable.New(tt.schedule, timetable.Options{Anchor: editAnchor, Seed: 5, Calendars: []firjob.Calendar{newYear, workdays, weekend}})
			if err != nil {
				t.Fatal(err)
			}
			got := timetable.WhyNot(instant(t, tt.at))
			if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if next := timetable.Next(instant(t, tt.at)); !next.IsZero() && timetable.WhyNot(next) != "" {
				t.Errorf("the fire at %v is none: %s", next, timetable.WhyNot(next))
			}
		})
	}
}

func TestTextAndWarningsOfWindowsCalendarsAndJitter(t *testing.T) {
	t.Parallel()
	start, end := instant(t, "2027-02-01T00:00:00Z"), instant(t, "2027-03-01T00:00:00Z")
	early := instant(t, "2026-01-01T00:00:00Z")
	never := firjob.Calendar{Name: "never", Mode: firjob.CalendarInclude, Dates: []firjob.DateRange{{From: "2020-01-01"}}}
	tests := []struct {
		schedule firjob.Schedule
		text     string
		warnings []string
	}{
		{firjob.Schedule{Kind: "every", Interval: span(time.Hour), StartAt: &start, EndAt: &end},
			"every 1h, from 2027-02-01T00:00:00Z on, before 2027-03-01T00:00:00Z", nil},
		{firjob.Schedule{Kind: "cron", Expr: "0 9 * * *", Calendars: []string{"workdays"}, Jitter: span(5 * time.Minute)},
			"at 09:00, every day, in UTC, when workdays permits, put off by up to 5m", nil},
		{firjob.Schedule{Kind: "cron", Expr: "0 0 9 LW * ? 2027", Dialect: "quartz", Calendars: []string{"workdays", "holidays"}},
			"at 09:00, on the last weekday (Monday to Friday) of the month, in 2027, in UTC, when workdays and holidays permit", nil},
		{firjob.Schedule{Kind: "every", Interval: span(time.Minute), Jitter: span(time.Hour)}, "every 1m, put off by up to 1h",
			[]string{"jitter 1h is not shorter than the 1m to the next fire: it ends before that"}},
		{firjob.Schedule{Kind: "cron", Expr: "0 9 * * *", EndAt: &early}, "at 09:00, every day, in UTC, before 2026-01-01T00:00:00Z",
			[]string{"no fire is left: end_at, 2026-01-01T00:00:00Z, is past"}},
		{firjob.Schedule{Kind: "cron", Expr: "0 9 1 5 *", EndAt: &end}, "at 09:00, on day 1 of the month, in May, in UTC, before 2027-03-01T00:00:00Z",
			[]string{"no fire is left: there is none before end_at, 2027-03-01T00:00:00Z"}},
		{firjob.Schedule{Kind: "delay", Interval: span(time.Minute), Calendars: []string{"never"}}, "1m after the last one ended, when never permits",
			[]string{"no fire is left: within 20 years the calendars permit none"}},
		{firjob.Schedule{Kind: "cron", Expr: "0 9 * * *", Calendars: []string{"never"}}, "at 09:00, every day, in UTC, when never permits",
			[]string{"no fire is left: within 20 years the calendars permit none"}},
		{firjob.Schedule{Kind: "cron", Expr: "0 0 9 1 1 ? 2020", Dialect: "quartz"}, "at 09:00, on day 1 of the month, in January, in 2020, in UTC",
			[]string{"no fire is left: the years of the expression are over"}},
	}
	for _, tt := range tests {
		timetable, err := timetable.New(tt.schedule, timetable.Options{Anchor: editAnchor, Calendars: []firjob.Calendar{workdays, newYear, never}})
		if err != nil {
			t.Fatal(err)
		}
		if got := timetable.Text(); got != tt.text {
			t.Errorf("got  %q\nwant %q", got, tt.text)
		}
		if diff := cmp.Diff(tt.warnings, timetable.Warnings(editNow)); diff != "" {
			t.Errorf("warnings of %q (-want +got):\n%s", tt.text, diff)
		}
	}
}
