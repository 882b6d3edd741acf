package validate_test

import (
	"strings"
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/validate"
)

func TestValidateDialectsWindowsCalendarsAndJitter(t *testing.T) {
	t.Parallel()
	later, tooFar := tomorrow.Add(time.Hour), firjob.LatestAt().Add(time.Second)
	cron := func(change func(s *firjob.Schedule)) firjob.Schedule {
		s := hourly
		change(&s)
		return s
	}
	every := func(change func(s *firjob.Schedule)) firjob.Schedule {
		s := eachTwo
		change(&s)
		return s
	}
	quartz := func(expr string) firjob.Schedule {
		return firjob.Schedule{Kind: firjob.ScheduleCron, Expr: expr, Dialect: firjob.DialectQuartz}
	}
	tests := map[string]struct {
		schedule firjob.Schedule
		field    string // "" = good
		want     string
	}{
		"quartz":            {quartz("0 0 9 LW * ?"), "", ""},
		"quartz, this year": {quartz("0 0 9 LW * ? 2027"), "", ""},
		"quartz in unix":    {cron(func(s *firjob.Schedule) { s.Expr = "0 0 9 LW * ?" }), "schedule.expr", `need "dialect": "quartz"`},
		"unix in quartz":    {quartz("0 9 * * *"), "schedule.expr", "has 5 fields; want 6"},
		"years gone by":     {quartz("0 0 9 * * ? 2020-2026"), "schedule.expr", "never fires again: the years that it names are over"},
		"hashed":            {cron(func(s *firjob.Schedule) { s.Expr = "H H(1-4) * * *" }), "", ""},
		"whole": {cron(func(s *firjob.Schedule) {
			s.StartAt, s.EndAt, s.Jitter, s.Calendars = &tomorrow, &later, span(firjob.MaxJitter), []string{"a", "b"}
		}), "", ""},
		"every, whole": {every(func(s *firjob.Schedule) {
			s.StartAt, s.EndAt, s.Jitter, s.Calendars, s.Timezone = &tomorrow, &later, span(time.Millisecond), []string{"a"}, "Asia/Shanghai"
		}), "", ""},
		"delay, whole": {firjob.Schedule{Kind: "delay", Interval: span(time.Second), StartAt: &tomorrow, EndAt: &later,
			Calendars: []string{"a"}, Timezone: "Asia/Shanghai"}, "", ""},
		"delay with jitter": {firjob.Schedule{Kind: "delay", Interval: span(time.Second), Jitter: span(time.Second)},
			"schedule.jitter", `does not belong to a schedule of kind "delay"`},
		"at with a window":      {firjob.Schedule{Kind: "at", At: &tomorrow, EndAt: &later}, "schedule.end_at", `does not belong to a schedule of kind "at"`},
		"at with a start":       {firjob.Schedule{Kind: "at", At: &tomorrow, StartAt: &tomorrow}, "schedule.start_at", "does not belong"},
		"at with jitter":        {firjob.Schedule{Kind: "at", At: &tomorrow, Jitter: span(time.Second)}, "schedule.jitter", "does not belong"},
		"at with calendars":     {firjob.Schedule{Kind: "at", At: &tomorrow, Calendars: []string{"a"}}, "schedule.calendars", "does not belong"},
		"manual with calendars": {firjob.Schedule{Kind: "manual", Calendars: []string{"a"}}, "schedule.calendars", `does not belong to a schedule of kind "manual"`},
		"zone without calendar": {every(func(s *firjob.Schedule) { s.Timezone = "UTC" }), "schedule.timezone", "without calendars"},
		"an unknown zone":       {every(func(s *firjob.Schedule) { s.Timezone, s.Calendars = "Mars", []string{"a"} }), "schedule.timezone", "not a known time zone"},
		"end before start":      {cron(func(s *firjob.Schedule) { s.StartAt, s.EndAt = &later, &tomorrow }), "schedule.end_at", "must be later than start_at"},
		"end at start":          {cron(func(s *firjob.Schedule) { s.StartAt, s.EndAt = &later, &later }), "schedule.end_at", "must be later than start_at"},
		"start too far":         {cron(func(s *firjob.Schedule) { s.StartAt = &tooFar }), "schedule.start_at", "must not be later than 9999"},
		"end too far":           {cron(func(s *firjob.Schedule) { s.EndAt = &tooFar }), "schedule.end_at", "must not be later than 9999"},
		"long jitter":           {cron(func(s *firjob.Schedule) { s.Jitter = span(25 * time.Hour) }), "schedule.jitter", "must be 1ms to 24h"},
		"negative jitter":       {cron(func(s *firjob.Schedule) { s.Jitter = span(-time.Second) }), "schedule.jitter", "must be 1ms to 24h"},
		"fine jitter":           {cron(func(s *firjob.Schedule) { s.Jitter = span(time.Second + 1) }), "schedule.jitter", "whole milliseconds"},
		"a calendar's name":     {cron(func(s *firjob.Schedule) { s.Calendars = []string{"a", "A B"} }), "schedule.calendars[1]", "must have 1 to 200 characters"},
		"a calendar twice":      {cron(func(s *firjob.Schedule) { s.Calendars = []string{"a", "a"} }), "schedule.calendars[1]", "is listed twice"},
		"many calendars":        {cron(func(s *firjob.Schedule) { s.Calendars = make([]string, 11) }), "schedule.calendars", "are 11; want at most 10"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := validate.Schedule(tt.schedule, editNow)
			switch {
			case tt.field == "" && got == nil:
			case tt.field == "" || len(got) != 1 || got[0].Field != tt.field || !strings.Contains(got[0].Message, tt.want):
				t.Errorf("got %+v, want one fault of %q with %q", got, tt.field, tt.want)
			}
		})
	}
}
