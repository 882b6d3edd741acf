package chaos

import (
	"testing"
	"time"
)

// Package time, which reads the file, and the oracle's list agree about it.
func TestTheZoneFileSaysWhatTheOracleIsTold(t *testing.T) {
	t.Parallel()
	begin := time.Date(2026, 11, 22, 12, 0, 0, 500, time.UTC)
	zone := restless(begin, time.Minute)
	if len(zone) < 8 || zone[0].Offset != zoneJump || zone[1].Offset != 0 {
		t.Fatalf("got %v, want changes forward and back by turns", zone)
	}
	location, err := time.LoadLocationFromTZData(zoneName, tzif(zone))
	if err != nil {
		t.Fatal(err)
	}
	for at := begin.Add(-time.Hour); at.Before(begin.Add(time.Hour)); at = at.Add(time.Second) {
		want := time.Duration(0)
		for _, s := range zone {
			if !s.At.After(at) {
				want = s.Offset
			}
		}
		if _, got := at.In(location).Zone(); time.Duration(got)*time.Second != want {
			t.Fatalf("at %v: got %d s from UTC, want %v", at, got, want)
		}
	}
}
