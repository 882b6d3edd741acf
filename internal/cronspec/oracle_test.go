package cronspec_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/cronspec"
)

// This file checks Next against a walker that shares nothing with it: it looks
// at a wall clock once a minute, all day, around every change of the clocks,
// and remembers what it has seen.

// shown is one glance at the clock.
type shown struct {
	at    time.Time
	wall  time.Time // what it shows, written as if it were UTC
	again bool      // it has shown that before
}

// walk glances at the clock of zone each minute from start to end.
func walk(zone *time.Location, start, end time.Time) []shown {
	var list []shown
	seen := map[time.Time]bool{}
	for t := start; t.Before(end); t = t.Add(time.Minute) {
		y, mo, d := t.In(zone).Date()
		h, mi, _ := t.In(zone).Clock()
		wall := time.Date(y, mo, d, h, mi, 0, 0, time.UTC)
		list = append(list, shown{t, wall, seen[wall]})
		seen[wall] = true
	}
	return list
}

// changes finds the days around each change of the clocks between two years.
func changes(zone *time.Location, from, to int) [][]shown {
	var list [][]shown
	start := time.Date(from, 1, 1, 0, 0, 0, 0, time.UTC)
	_, offset := start.In(zone).Zone()
	for t := start; t.Year() < to; t = t.Add(6 * time.Hour) {
		if _, now := t.In(zone).Zone(); now != offset {
			offset = now
			list = append(list, walk(zone, t.Add(-16*time.Hour), t.Add(10*time.Hour)))
		}
	}
	return list
}

// meaning is what an expression means, without a parser: the times that match.
type meaning struct {
	fixed   bool                       // it names hours
	matches func(wall time.Time) bool  // whether a minute holds a match
	seconds func(wall time.Time) []int // the matching seconds of such a minute
}

// oracle lists the fires of a meaning during a walk.
func oracle(m meaning, clock []shown, gap firjob.Gap, overlap firjob.OverlapHour) []time.Time {
	var fires []time.Time
	for i, now := range clock {
		if i > 0 && m.fixed && gap == firjob.GapRunAfter && inGap(m, clock[i-1].wall, now.wall) {
			fires = append(fires, now.at)
		}
		if m.fixed && overlap == firjob.OverlapOnce && now.again || !m.matches(now.wall) {
			continue
		}
		for _, second := range m.seconds(now.wall) {
			fires = append(fires, now.at.Add(time.Duration(second)*time.Second))
		}
	}
	return slices.CompactFunc(fires, time.Time.Equal)
}

// inGap reports whether a match lies between two glances at the clock.
func inGap(m meaning, before, now time.Time) bool {
	for left := before.Add(time.Minute); left.Before(now); left = left.Add(time.Minute) {
		if m.matches(left) {
			return true
		}
	}
	return false
}

// fiveFields is the meaning of an expression of the forms that fits knows.
func fiveFields(expr string) meaning {
	fields := strings.Fields(expr)
	var fit [5][60]bool // each field's numbers
	for i, field := range fields {
		for n := range fit[i] {
			fit[i][n] = fits(field, n)
		}
	}
	return meaning{
		fixed: fields[1] != "*",
		matches: func(wall time.Time) bool {
			return fit[0][wall.Minute()] && fit[1][wall.Hour()] && fit[2][wall.Day()] && fit[3][wall.Month()] && fit[4][wall.Weekday()]
		},
		seconds: func(time.Time) []int { return []int{0} },
	}
}

// fits reads a field of the forms *, */2, 1, 1-5 and 1,3.
func fits(field string, n int) bool {
	if field == "*" {
		return true
	}
	return slices.ContainsFunc(strings.Split(field, ","), func(one string) bool {
		if step, ok := strings.CutPrefix(one, "*/"); ok {
			k, _ := strconv.Atoi(step)
			return n%k == 0
		}
		low, high, ranged := strings.Cut(one, "-")
		if !ranged {
			high = low
		}
		a, _ := strconv.Atoi(low)
		b, _ := strconv.Atoi(high)
		return a <= n && n <= b
	})
}

func TestNextAgreesWithAWalker(t *testing.T) {
	t.Parallel()
	exprs := []string{"0 0 * * *", "30 0 * * *", "30 1 * * *", "0 2 * * *", "15 2 * * *", "0 3 * * *", "30 23 * * *",
		"*/20 1-3 * * *", "0 */2 * * *", "0,30 0,23 * * *", "30 2 * * 0", "0 * * * *", "45 * * * *", "*/10 * * * *", "59 2,3 * 3,10 *"}
	zones := []struct {
		name     string
		from, to int
		changes  int // at least
	}{
		{"America/New_York", 2018, 2028, 20},
		{"Europe/Berlin", 2018, 2028, 20},
		{"Australia/Lord_Howe", 2018, 2028, 20},
		{"America/Sao_Paulo", 2009, 2019, 20},
		{"Asia/Shanghai", 1986, 1992, 12},
		{"Africa/Casablanca", 2018, 2028, 18},
		{"Asia/Tehran", 2012, 2022, 20},
	}
	for _, zone := range zones {
		t.Run(zone.name, func(t *testing.T) {
			t.Parallel()
			loc, err := cronspec.Zone(zone.name)
			if err != nil {
				t.Fatal(err)
			}
			walks := changes(loc, zone.from, zone.to)
			if len(walks) < zone.changes {
				t.Fatalf("found %d changes of the clocks, want at least %d", len(walks), zone.changes)
			}
			for _, expr := range exprs {
				means := fiveFields(expr)
				for _, gap := range []firjob.Gap{firjob.GapRunAfter, firjob.GapSkip} {
					for _, overlap := range []firjob.OverlapHour{firjob.OverlapOnce, firjob.OverlapTwice} {
						for _, clock := range walks {
							agree(t, expr, means, cronspec.Options{Timezone: zone.name, Gap: gap, OverlapHour: overlap}, clock)
						}
					}
				}
			}
		})
	}
}

// agree compares Next with the oracle during a walk.
func agree(t rapid.TB, expr string, m meaning, o cronspec.Options, clock []shown) {
	t.Helper()
	spec, err := cronspec.Parse(expr, o)
	if err != nil {
		t.Fatalf("Parse(%q, %+v): %v", expr, o, err)
	}
	want := oracle(m, clock, o.Gap, o.OverlapHour)
	end := clock[len(clock)-1].at.Add(time.Minute)
	var got []time.Time
	for at := spec.Next(clock[0].at.Add(-1)); !at.IsZero() && at.Before(end); at = spec.Next(at) {
		got = append(got, at)
	}
	if !slices.EqualFunc(got, want, time.Time.Equal) {
		t.Fatalf("%q %+v from %s:\n%s", expr, o, clock[0].at.Format(time.DateOnly), difference(got, want))
	}
}

func difference(got, want []time.Time) string {
	var lines []string
	for _, at := range got {
		if !slices.ContainsFunc(want, at.Equal) {
			lines = append(lines, fmt.Sprintf("\tfires at %v, the walker does not", at))
		}
	}
	for _, at := range want {
		if !slices.ContainsFunc(got, at.Equal) {
			lines = append(lines, fmt.Sprintf("\tdoes not fire at %v, the walker does", at))
		}
	}
	return strings.Join(lines, "\n")
}
