package timetable_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/cronspec"
	"github.com/firjob/firjob/internal/timetable"
	"github.com/firjob/firjob/internal/validate"
)

// The calendars of the tests.
var (
	newYear  = firjob.Calendar{Name: "holidays", Mode: firjob.CalendarExclude, Version: 3, Dates: []firjob.DateRange{{From: "2027-01-01", Until: "2027-01-03"}}}
	workdays = firjob.Calendar{Name: "workdays", Mode: firjob.CalendarInclude, Version: 1, Weekdays: []string{"mon", "tue", "wed", "thu", "fri"}}
	nights   = firjob.Calendar{Name: "nights", Mode: firjob.CalendarInclude, Version: 1, Hours: []firjob.HourRange{{From: "22:00", Until: "06:00"}}}
)

// following returns a delay job without an interval worth speaking of, so that
// its fires are the first instants that its calendars permit.
func following(zone string, calendars ...firjob.Calendar) firjob.Job {
	j := jobWith(firjob.Schedule{Kind: firjob.ScheduleDelay, Interval: span(firjob.MinInterval), Timezone: zone}, true)
	for _, c := range calendars {
		j.Calendars, j.Schedule.Calendars = append(j.Calendars, c), append(j.Schedule.Calendars, c.Name)
	}
	return j
}

// firstPermitted returns the first instant from at on that the calendars permit.
func firstPermitted(t rapid.TB, j firjob.Job, at time.Time) time.Time {
	t.Helper()
	got, err := timetable.DelayedFire(j, at.Add(-firjob.MinInterval), at)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestCalendarPermits(t *testing.T) {
	t.Parallel()
	closed := func(c firjob.Calendar) firjob.Calendar {
		c.Mode = firjob.CalendarExclude
		return c
	}
	christmas := firjob.Calendar{Name: "christmas", Mode: firjob.CalendarExclude,
		Dates: []firjob.DateRange{{From: "2020-12-24", Until: "2021-01-01", Yearly: true}}}
	years := firjob.Calendar{Name: "years", Mode: firjob.CalendarExclude, Dates: []firjob.DateRange{
		{From: "2027-01-01", Until: "2027-12-31"}, {From: "2028-01-01", Until: "2029-06-30"}}}
	leap := firjob.Calendar{Name: "leap", Mode: firjob.CalendarInclude, Dates: []firjob.DateRange{{From: "2024-02-29", Yearly: true}}}
	tests := map[string]struct {
		zone      string
		calendars []firjob.Calendar
		at, want  string
	}{
		"not named":                       {"", []firjob.Calendar{newYear}, "2026-12-31T23:59:59.999Z", "2026-12-31T23:59:59.999Z"},
		"a range of dates":                {"", []firjob.Calendar{newYear}, "2027-01-01T00:00:00Z", "2027-01-04T00:00:00Z"},
		"its last day":                    {"", []firjob.Calendar{newYear}, "2027-01-03T23:59:59.999Z", "2027-01-04T00:00:00Z"},
		"a day between two ranges":        {"", []firjob.Calendar{{Name: "c", Mode: "exclude", Dates: []firjob.DateRange{{From: "2027-01-03"}, {From: "2027-01-01"}}}}, "2027-01-01T12:00:00Z", "2027-01-02T00:00:00Z"},
		"in the schedule's zone":          {"Asia/Shanghai", []firjob.Calendar{newYear}, "2026-12-31T16:00:00Z", "2027-01-03T16:00:00Z"},
		"in its own":                      {"Asia/Shanghai", []firjob.Calendar{{Name: "c", Mode: "exclude", Timezone: "UTC", Dates: newYear.Dates}}, "2026-12-31T16:00:00Z", "2026-12-31T16:00:00Z"},
		"included weekdays":               {"", []firjob.Calendar{workdays}, "2027-01-02T12:00:00Z", "2027-01-04T00:00:00Z"},
		"excluded weekdays":               {"", []firjob.Calendar{closed(workdays)}, "2027-01-04T12:00:00Z", "2027-01-09T00:00:00Z"},
		"hours past midnight":             {"", []firjob.Calendar{nights}, "2027-01-02T12:00:00Z", "2027-01-02T22:00:00Z"},
		"their morning":                   {"", []firjob.Calendar{nights}, "2027-01-02T05:59:59.999Z", "2027-01-02T05:59:59.999Z"},
		"their end":                       {"", []firjob.Calendar{closed(nights)}, "2027-01-02T23:00:00Z", "2027-01-03T06:00:00Z"},
		"hours to midnight":               {"", []firjob.Calendar{{Name: "c", Mode: "exclude", Hours: []firjob.HourRange{{From: "18:00", Until: "00:00"}}}}, "2027-01-02T19:00:00Z", "2027-01-03T00:00:00Z"},
		"any line names":                  {"", []firjob.Calendar{{Name: "c", Mode: "include", Weekdays: []string{"sun"}, Dates: newYear.Dates, Hours: nights.Hours}}, "2027-01-02T12:00:00Z", "2027-01-02T12:00:00Z"},
		"every calendar permits":          {"", []firjob.Calendar{workdays, nights, newYear}, "2027-01-01T00:00:00Z", "2027-01-04T00:00:00Z"},
		"yearly, across new year":         {"", []firjob.Calendar{christmas}, "2031-12-24T00:00:00Z", "2032-01-02T00:00:00Z"},
		"yearly, before":                  {"", []firjob.Calendar{christmas}, "2031-12-23T23:59:00Z", "2031-12-23T23:59:00Z"},
		"leap days":                       {"", []firjob.Calendar{leap}, "2096-03-01T00:00:00Z", "2104-02-29T00:00:00Z"},
		"closed years":                    {"Europe/Berlin", []firjob.Calendar{years}, "2027-03-01T00:00:00Z", "2029-06-30T22:00:00Z"},
		"nothing for twenty years":        {"", []firjob.Calendar{{Name: "c", Mode: "include", Dates: newYear.Dates}}, "2027-01-04T00:00:00Z", ""},
		"nothing in common":               {"", []firjob.Calendar{workdays, {Name: "c", Mode: "exclude", Weekdays: workdays.Weekdays}}, "2027-01-04T00:00:00Z", ""},
		"an hour that a gap leaves out":   {"America/New_York", []firjob.Calendar{{Name: "c", Mode: "include", Hours: []firjob.HourRange{{From: "02:00", Until: "03:00"}}}}, "2027-03-14T05:00:00Z", "2027-03-15T06:00:00Z"},
		"an hour that is cut by a gap":    {"America/New_York", []firjob.Calendar{{Name: "c", Mode: "include", Hours: []firjob.HourRange{{From: "02:30", Until: "03:30"}}}}, "2027-03-14T05:00:00Z", "2027-03-14T07:00:00Z"},
		"an hour that comes twice":        {"America/New_York", []firjob.Calendar{{Name: "c", Mode: "include", Hours: []firjob.HourRange{{From: "01:00", Until: "01:30"}}}}, "2027-11-07T05:30:00Z", "2027-11-07T06:00:00Z"},
		"a day without a midnight":        {"America/Sao_Paulo", []firjob.Calendar{{Name: "c", Mode: "include", Dates: []firjob.DateRange{{From: "2018-11-04"}}}}, "2018-11-03T12:00:00Z", "2018-11-04T03:00:00Z"},
		"a weekday that the zone skipped": {"Pacific/Apia", []firjob.Calendar{{Name: "c", Mode: "include", Weekdays: []string{"fri"}}}, "2011-12-24T12:00:00Z", "2012-01-05T10:00:00Z"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, want := firstPermitted(t, following(tt.zone, tt.calendars...), instant(t, tt.at)), instant(t, tt.want); !got.Equal(want) {
				t.Errorf("from %s: got %v, want %v", tt.at, got, want)
			}
		})
	}
}

// ownZones are those that calendars of the tests have for themselves.
var ownZones = map[string]*time.Location{"": nil, "Asia/Kathmandu": zoneOf("Asia/Kathmandu"),
	"Pacific/Chatham": zoneOf("Pacific/Chatham"), "Antarctica/Troll": zoneOf("Antarctica/Troll")}

func zoneOf(name string) *time.Location {
	zone, err := cronspec.Zone(name)
	if err != nil {
		panic(err)
	}
	return zone
}

// permitsByDefinition reads a calendar line by line, as its documentation says.
func permitsByDefinition(c firjob.Calendar, zone *time.Location, at time.Time) bool {
	if own := ownZones[c.Timezone]; own != nil {
		zone = own
	}
	local := at.In(zone)
	date, day, clock := local.Format(time.DateOnly), local.Format("01-02"), local.Format("15:04")
	named := slices.Contains(c.Weekdays, strings.ToLower(local.Format("Mon")))
	for _, r := range c.Dates {
		until := max(r.From, r.Until)
		switch from, until := r.From, until; {
		case !r.Yearly:
			named = named || from <= date && date <= until
		case from[5:] <= until[5:]:
			named = named || from[5:] <= day && day <= until[5:]
		default:
			named = named || from[5:] <= day || day <= until[5:]
		}
	}
	for _, h := range c.Hours {
		if h.From < h.Until {
			named = named || h.From <= clock && clock < h.Until
		} else {
			named = named || h.From <= clock || clock < h.Until
		}
	}
	return named == (c.Mode == firjob.CalendarInclude)
}

// anyCalendar draws a calendar that is good, of days around 2018.
func anyCalendar(name string) *rapid.Generator[firjob.Calendar] {
	date := rapid.Map(rapid.IntRange(0, 1000), func(n int) time.Time { return time.Date(2018, 1, 1+n, 0, 0, 0, 0, time.UTC) })
	clock := rapid.Map(rapid.IntRange(0, 24*60-1), func(n int) string { return fmt.Sprintf("%02d:%02d", n/60, n%60) })
	return rapid.Custom(func(t *rapid.T) firjob.Calendar {
		c := firjob.Calendar{Name: name, Mode: rapid.SampledFrom([]firjob.CalendarMode{"exclude", "include"}).Draw(t, "mode"),
			Timezone: rapid.SampledFrom(slices.Sorted(maps.Keys(ownZones))).Draw(t, "own zone")}
		for range rapid.IntRange(0, 4).Draw(t, "dates") {
			from := date.Draw(t, "from")
			r := firjob.DateRange{From: from.Format(time.DateOnly), Yearly: rapid.Bool().Draw(t, "yearly")}
			if n := rapid.SampledFrom([]int{0, 0, 1, 7, 40, 200, 364}).Draw(t, "days"); n > 0 {
				r.Until = from.AddDate(0, 0, n).Format(time.DateOnly)
			}
			c.Dates = append(c.Dates, r)
		}
		c.Weekdays = rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}), 0, 3, rapid.ID).Draw(t, "weekdays")
		for range rapid.IntRange(0, 2).Draw(t, "hours") {
			c.Hours = append(c.Hours, firjob.HourRange{From: clock.Draw(t, "from"), Until: clock.Draw(t, "until")})
		}
		return c
	}).Filter(func(c firjob.Calendar) bool { return len(validate.Calendar(c)) == 0 })
}

// The next permitted instant is what a walk from minute to minute finds.
func TestCalendarsAgreeWithAWalker(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom([]string{"UTC", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "Africa/Casablanca"}).Draw(t, "zone")
		zone, err := cronspec.Zone(name)
		if err != nil {
			t.Fatal(err)
		}
		calendars := []firjob.Calendar{anyCalendar("a").Draw(t, "a")}
		if rapid.Bool().Draw(t, "two") {
			calendars = append(calendars, anyCalendar("b").Draw(t, "b"))
		}
		permits := func(at time.Time) bool {
			return !slices.ContainsFunc(calendars, func(c firjob.Calendar) bool { return !permitsByDefinition(c, zone, at) })
		}
		start := time.UnixMilli(rapid.Int64Range(1514764800000, 1609459200000).Draw(t, "start")).UTC() // 2018 to 2020
		end := start.Add(12 * 24 * time.Hour)
		want := start
		if !permits(want) {
			for want = start.Truncate(time.Minute); !want.After(start) || want.Before(end) && !permits(want); {
				want = want.Add(time.Minute)
			}
		}
		got := firstPermitted(t, following(name, calendars...), start)
		if found := !got.IsZero() && got.Before(end); found != want.Before(end) || found && !got.Equal(want) {
			t.Fatalf("%+v in %s from %v: got %v, the walker %v", calendars, name, start, got, want)
		}
	})
}

// A year that is closed costs next to nothing.
func BenchmarkClosedYear(b *testing.B) {
	year := firjob.Calendar{Name: "year", Mode: firjob.CalendarExclude, Dates: []firjob.DateRange{{From: "2027-01-01", Until: "2027-12-31"}}}
	s := firjob.Schedule{Kind: firjob.ScheduleCron, Expr: "* * * * * *", Timezone: "Europe/Berlin", Calendars: []string{"year"}}
	benchmarkNext(b, s, year)
}
