package cronspec_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/firjob/firjob/internal/cronspec"
)

// This file checks Next against a walker that shares nothing with it: it looks
// at a wall clock once a minute, all day, around every change of the clocks,
// and remembers what it has seen.

// shown is one glance at the clock.
type shown struct {
	at   time.Time
	wall time.Time // what it shows, written as if it were UTC
}

// walk glances at the clock of zone each minute from start to end.
func walk(zone *time.Location, start, end time.Time) []shown {
	var list []shown
	for t := start; t.Before(end); t = t.Add(time.Minute) {
		y, mo, d := t.In(zone).Date()
		h, mi, _ := t.In(zone).Clock()
		list = append(list, shown{t, time.Date(y, mo, d, h, mi, 0, 0, time.UTC)})
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

// oracle lists the fires of a five-field expression during a walk.
func oracle(expr string, clock []shown, gap cronspec.Gap, overlap cronspec.OverlapHour) []time.Time {
	fields := strings.Fields(expr)
	fixed := fields[1] != "*"
	seen := make(map[int64]bool, len(clock))
	var fires []time.Time
	for i, now := range clock {
		due := matches(fields, now.wall)
		if fixed && overlap == cronspec.OverlapOnce && seen[now.wall.Unix()] {
			due = false
		}
		if i > 0 && fixed && gap == cronspec.GapRunAfter {
			for left := clock[i-1].wall.Add(time.Minute); left.Before(now.wall); left = left.Add(time.Minute) {
				due = due || matches(fields, left)
			}
		}
		if due {
			fires = append(fires, now.at)
		}
		seen[now.wall.Unix()] = true
	}
	return fires
}

func matches(fields []string, wall time.Time) bool {
	return fits(fields[0], wall.Minute()) && fits(fields[1], wall.Hour()) && fits(fields[2], wall.Day()) &&
		fits(fields[3], int(wall.Month())) && fits(fields[4], int(wall.Weekday()))
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
		{"America/New_York", 2023, 2027, 8},
		{"Europe/Berlin", 2023, 2027, 8},
		{"Australia/Lord_Howe", 2023, 2027, 8},
		{"America/Sao_Paulo", 2015, 2020, 7},
		{"Asia/Shanghai", 1986, 1992, 12},
		{"Africa/Casablanca", 2020, 2025, 8},
		{"Asia/Tehran", 2019, 2024, 8},
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
				for _, gap := range []cronspec.Gap{cronspec.GapRunAfter, cronspec.GapSkip} {
					for _, overlap := range []cronspec.OverlapHour{cronspec.OverlapOnce, cronspec.OverlapTwice} {
						agree(t, expr, cronspec.Options{Timezone: zone.name, Gap: gap, OverlapHour: overlap}, walks)
					}
				}
			}
		})
	}
}

// agree compares Next with the oracle during each walk.
func agree(t *testing.T, expr string, o cronspec.Options, walks [][]shown) {
	t.Helper()
	spec := parse(t, expr, o)
	for _, clock := range walks {
		want := oracle(expr, clock, o.Gap, o.OverlapHour)
		end := clock[len(clock)-1].at
		var got []time.Time
		for at := spec.Next(clock[0].at.Add(-1)); !at.After(end); at = spec.Next(at) {
			got = append(got, at)
		}
		if !slices.EqualFunc(got, want, time.Time.Equal) {
			t.Errorf("%q %+v from %s:\n%s", expr, o, clock[0].at.Format(time.DateOnly), difference(got, want))
		}
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
