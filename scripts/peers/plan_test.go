package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/robfig/cron/v3"
)

// What is expected of a tick is what the cron expressions say that the systems
// are given, one with seconds in UTC and one without in a shifted zone.
func TestTicksAreWhatTheirExpressionsSay(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 5, 4, 12, 0, 30, 0, time.UTC)
	until := from.Add(3 * time.Minute)
	seconds := cron.NewParser(cron.Second | cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)
	for _, tick := range append(everySeconds(5), burst(1, from.Add(90*time.Second))...) {
		var want []time.Time
		for _, target := range tick.targets(from, until) {
			want = append(want, target.Due)
		}
		if len(want) == 0 {
			t.Errorf("%s has no target in %v", tick.Key, until.Sub(from))
		}
		utc, err := seconds.Parse(tick.cronSeconds())
		if err != nil {
			t.Fatal(err)
		}
		shifted, err := cron.ParseStandard(tick.cronMinutes())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, fires(utc, from, until, time.UTC)); diff != "" {
			t.Errorf("%s as %q (-targets +cron):\n%s", tick.Key, tick.cronSeconds(), diff)
		}
		if diff := cmp.Diff(want, fires(shifted, from, until, tick.zone())); diff != "" {
			t.Errorf("%s as %q in its zone (-targets +cron):\n%s", tick.Key, tick.cronMinutes(), diff)
		}
	}
}

func fires(s cron.Schedule, from, until time.Time, zone *time.Location) (list []time.Time) {
	for at := s.Next(from.Add(-1).In(zone)); at.Before(until); at = s.Next(at) {
		list = append(list, at.UTC())
	}
	return list
}
