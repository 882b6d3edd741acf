package timetable_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/timetable"
)

func TestLastFires(t *testing.T) {
	t.Parallel()
	begin := time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC)
	end := begin.Add(50 * time.Hour)
	workdays := firjob.Calendar{Name: "work", Version: 1, Mode: "include", Weekdays: []string{"mon", "wed"}}
	schedules := []firjob.Schedule{
		{Kind: firjob.ScheduleEvery, Interval: span(17 * time.Minute)},
		{Kind: firjob.ScheduleEvery, Interval: span(time.Minute), EndAt: &end, Jitter: span(30 * time.Second)},
		{Kind: firjob.ScheduleCron, Expr: "*/20 3 * * *", Timezone: "Europe/Paris"},
		{Kind: firjob.ScheduleCron, Expr: "*/7 * * * *", Timezone: "UTC", Calendars: []string{"work"}},
		{Kind: firjob.ScheduleAt, At: &end},
	}
	rapid.Check(t, func(t *rapid.T) {
		job := firjob.Job{ID: 7, Schedule: rapid.SampledFrom(schedules).Draw(t, "schedule"), Calendars: []firjob.Calendar{workdays}}
		if len(job.Schedule.Calendars) == 0 {
			job.Calendars = nil
		}
		times, err := timetable.Of(job, begin)
		if err != nil {
			t.Fatal(err)
		}
		at := func(name string) time.Time {
			return begin.Add(time.Duration(rapid.Int64Range(-int64(10*time.Hour), int64(150*time.Hour)).Draw(t, name)))
		}
		from, until, n := at("from"), at("until"), rapid.IntRange(0, 50).Draw(t, "n")
		all := slices.Collect(times.Between(from, until))
		if got, want := times.Last(from, until, n), all[max(0, len(all)-n):]; !slices.EqualFunc(got, want, time.Time.Equal) {
			t.Errorf("the last %d fires from %v until %v are %v, want %v", n, from, until, got, want)
		}
	})
}

// A schedule that was over years ago had hundreds of millions of fires until
// then. To go through them would take minutes.
func TestLastFireBeforeALongSilence(t *testing.T) {
	t.Parallel()
	begin := time.Date(2017, 3, 1, 0, 0, 0, 0, time.UTC)
	end := begin.AddDate(6, 0, 0)
	times, err := timetable.Of(firjob.Job{Schedule: firjob.Schedule{Kind: firjob.ScheduleEvery, Interval: span(time.Second), EndAt: &end}}, begin)
	if err != nil {
		t.Fatal(err)
	}
	got := times.Last(begin, begin.AddDate(10, 0, 0), 2)
	if want := []time.Time{end.Add(-2 * time.Second), end.Add(-time.Second)}; !slices.EqualFunc(got, want, time.Time.Equal) {
		t.Errorf("got %v, want %v", got, want)
	}
}
