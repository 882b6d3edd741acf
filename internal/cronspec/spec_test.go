package cronspec_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/cronspec"
)

func parse(t testing.TB, expr string, o cronspec.Options) *cronspec.Spec {
	t.Helper()
	spec, err := cronspec.Parse(expr, o)
	if err != nil {
		t.Fatalf("Parse(%q, %+v): %v", expr, o, err)
	}
	return spec
}

// fires lists the fires after start and before end, as local times with their
// offset.
func fires(spec *cronspec.Spec, zone string, start, end time.Time) []string {
	loc, err := cronspec.Zone(zone)
	if err != nil {
		return []string{err.Error()}
	}
	var list []string
	for t := spec.Next(start); !t.IsZero() && t.Before(end) && len(list) < 40; t = spec.Next(t) {
		list = append(list, t.In(loc).Format("02 15:04:05 -0700"))
	}
	return list
}

func TestNextAroundClockChanges(t *testing.T) {
	t.Parallel()
	const (
		newYork  = "America/New_York"    // 2026-03-08 02:00 → 03:00, 2026-11-01 02:00 → 01:00
		berlin   = "Europe/Berlin"       // 2026-03-29 02:00 → 03:00, 2026-10-25 03:00 → 02:00
		lordHowe = "Australia/Lord_Howe" // half an hour: 2026-10-04 02:00 → 02:30, 2026-04-05 02:00 → 01:30
		saoPaulo = "America/Sao_Paulo"   // at midnight: 2018-11-04 00:00 → 01:00, 2018-02-18 00:00 → 23:00
	)
	skip := cronspec.Options{Gap: firjob.GapSkip}
	twice := cronspec.Options{OverlapHour: firjob.OverlapTwice}
	tests := []struct {
		name, expr, zone string
		options          cronspec.Options
		from             string // local date; two days are listed
		want             []string
	}{
		{"a gap moves a daily fire", "30 2 * * *", newYork, cronspec.Options{}, "2026-03-08",
			[]string{"08 03:00:00 -04", "09 02:30:00 -04"}},
		{"a gap skips it on request", "30 2 * * *", newYork, skip, "2026-03-08", []string{"09 02:30:00 -04"}},
		{"many fires in a gap become one", "*/10 2 * * *", newYork, cronspec.Options{}, "2026-03-08",
			[]string{"08 03:00:00 -04", "09 02:00:00 -04", "09 02:10:00 -04", "09 02:20:00 -04",
				"09 02:30:00 -04", "09 02:40:00 -04", "09 02:50:00 -04"}},
		{"a moved fire meets another", "0 2,3 * * *", newYork, cronspec.Options{}, "2026-03-08",
			[]string{"08 03:00:00 -04", "09 02:00:00 -04", "09 03:00:00 -04"}},
		{"skip leaves the other", "0 2,3 * * *", newYork, skip, "2026-03-08",
			[]string{"08 03:00:00 -04", "09 02:00:00 -04", "09 03:00:00 -04"}},
		{"a repeated hour fires once", "30 1 * * *", newYork, cronspec.Options{}, "2026-11-01",
			[]string{"01 01:30:00 -04", "02 01:30:00 -05"}},
		{"a repeated hour fires twice on request", "30 1 * * *", newYork, twice, "2026-11-01",
			[]string{"01 01:30:00 -04", "01 01:30:00 -05", "02 01:30:00 -05"}},
		{"the end of the repeated hour is not repeated", "0 2 * * *", newYork, cronspec.Options{}, "2026-11-01",
			[]string{"01 02:00:00 -05", "02 02:00:00 -05"}},
		{"seconds", "15 30 1 * * *", newYork, cronspec.Options{}, "2026-11-01",
			[]string{"01 01:30:15 -04", "02 01:30:15 -05"}},
		{"every second hour is a time of day too", "0 2-8/2 * * *", berlin, cronspec.Options{}, "2026-10-25",
			[]string{"25 02:00:00 +02", "25 04:00:00 +01", "25 06:00:00 +01", "25 08:00:00 +01",
				"26 02:00:00 +01", "26 04:00:00 +01", "26 06:00:00 +01", "26 08:00:00 +01"}},
		{"half an hour's gap", "15 2 * * *", lordHowe, cronspec.Options{}, "2026-10-04",
			[]string{"04 02:30:00 +11", "05 02:15:00 +11"}},
		{"half an hour's repeat", "45 1 * * *", lordHowe, cronspec.Options{}, "2026-04-05",
			[]string{"05 01:45:00 +11", "06 01:45:00 +1030"}},
		{"half an hour's repeat, both", "45 1 * * *", lordHowe, twice, "2026-04-05",
			[]string{"05 01:45:00 +11", "05 01:45:00 +1030", "06 01:45:00 +1030"}},
		{"a midnight that does not exist", "@daily", saoPaulo, cronspec.Options{}, "2018-11-03",
			[]string{"03 00:00:00 -03", "04 01:00:00 -02"}},
		{"a midnight that does not exist, skipped", "@daily", saoPaulo, skip, "2018-11-03", []string{"03 00:00:00 -03"}},
		{"an hour before midnight, repeated", "30 23 * * *", saoPaulo, cronspec.Options{}, "2018-02-17",
			[]string{"17 23:30:00 -02", "18 23:30:00 -03"}},
		{"a zone without changes", "0 2 * * *", "Asia/Shanghai", cronspec.Options{}, "2026-03-08",
			[]string{"08 02:00:00 +08", "09 02:00:00 +08"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.options.Timezone = tt.zone
			spec := parse(t, tt.expr, tt.options)
			loc, _ := cronspec.Zone(tt.zone)
			day, err := time.ParseInLocation(time.DateOnly, tt.from, loc)
			if err != nil {
				t.Fatal(err)
			}
			got := fires(spec, tt.zone, day.Add(-time.Second), day.AddDate(0, 0, 2))
			for i := range got { // a whole hour's offset is shown as one
				got[i] = strings.TrimSuffix(got[i], "00")
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s in %s (-want +got):\n%s", tt.expr, tt.zone, diff)
			}
		})
	}
}

// Samoa crossed the date line at the end of 29 December 2011.
func TestNextOnMissingDay(t *testing.T) {
	t.Parallel()
	after := time.Date(2011, 12, 29, 0, 0, 0, 0, time.UTC)
	midnight := time.Date(2011, 12, 30, 10, 0, 0, 0, time.UTC) // of the 31st there
	if got := parse(t, "0 12 30 12 *", cronspec.Options{Timezone: "Pacific/Apia"}).Next(after); !got.Equal(midnight) {
		t.Errorf("run_after: got %v, want %v", got, midnight)
	}
	noon := time.Date(2012, 12, 29, 22, 0, 0, 0, time.UTC)
	skip := cronspec.Options{Timezone: "Pacific/Apia", Gap: firjob.GapSkip}
	if got := parse(t, "0 12 30 12 *", skip).Next(after); !got.Equal(noon) {
		t.Errorf("skip: got %v, want %v", got, noon)
	}
	for gap, want := range map[firjob.Gap]string{
		firjob.GapRunAfter: `on 2011-12-30 the clocks of Pacific/Apia skip the whole day: the fire of 12:00 happens at 00:00 on 2011-12-31 ("gap": "run_after")`,
		firjob.GapSkip:     `on 2011-12-30 the clocks of Pacific/Apia skip the whole day: the fire of 12:00 does not happen ("gap": "skip")`,
	} {
		got := parse(t, "0 12 30 12 *", cronspec.Options{Timezone: "Pacific/Apia", Gap: gap}).Warnings(after)
		if diff := cmp.Diff([]string{want}, got); diff != "" {
			t.Errorf("warnings (-want +got):\n%s", diff)
		}
	}
}

// Noon comes once on each day, in the years that zone files list and in those
// that follow from a rule alone.
func TestNextEachDay(t *testing.T) {
	t.Parallel()
	for _, zone := range []string{"UTC", "America/New_York", "Australia/Lord_Howe", "Asia/Shanghai", "Africa/Casablanca"} {
		spec := parse(t, "0 12 * * *", cronspec.Options{Timezone: zone})
		loc, _ := cronspec.Zone(zone)
		at := spec.Next(time.Date(2030, 1, 1, 0, 0, 0, 0, loc))
		for at.Year() < 2040 {
			next := spec.Next(at)
			y, m, d := at.In(loc).Date()
			if want := time.Date(y, m, d+1, 12, 0, 0, 0, loc); !next.Equal(want) {
				t.Fatalf("in %s after %v: got %v, want %v", zone, at, next, want)
			}
			at = next
		}
	}
}

func TestEveryHourKeepsFiring(t *testing.T) {
	t.Parallel()
	const zone = "America/New_York"
	tests := []struct {
		day  string
		want int
	}{{"2026-03-08", 23}, {"2026-03-09", 24}, {"2026-11-01", 25}}
	for _, expr := range []string{"0 * * * *", "0 0-23 * * *", "0 */1 * * *", "@hourly"} {
		spec := parse(t, expr, cronspec.Options{Timezone: zone})
		for _, tt := range tests {
			loc, _ := cronspec.Zone(zone)
			day, _ := time.ParseInLocation(time.DateOnly, tt.day, loc)
			got := fires(spec, zone, day.Add(-time.Second), day.AddDate(0, 0, 1))
			if len(got) != tt.want {
				t.Errorf("%q on %s fires %d times, want %d: %v", expr, tt.day, len(got), tt.want, got)
			}
		}
	}
}

func TestNext(t *testing.T) {
	t.Parallel()
	tests := []struct{ expr, after, want string }{
		{"30 2 * * *", "2026-01-01T02:29:59.999Z", "2026-01-01T02:30:00Z"},
		{"30 2 * * *", "2026-01-01T02:30:00Z", "2026-01-02T02:30:00Z"},
		{"30 2 * * *", "2026-01-01T02:29:59+05:00", "2026-01-01T02:30:00Z"},
		{"  30   2 * *\t* ", "2026-01-01T00:00:00Z", "2026-01-01T02:30:00Z"},
		{"*/5 * * * * *", "2026-01-01T00:00:00.5Z", "2026-01-01T00:00:05Z"},
		{"@daily", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"},
		{" @midnight ", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"},
		{"@hourly", "2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"},
		{"@weekly", "2026-01-01T00:00:00Z", "2026-01-04T00:00:00Z"},
		{"@monthly", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"},
		{"@yearly", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"},
		{"@annually", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"},
		{"0 0 * * 7", "2026-01-01T00:00:00Z", "2026-01-04T00:00:00Z"},
		{"0 0 * * 07", "2026-01-01T00:00:00Z", "2026-01-04T00:00:00Z"},
		{"0 0 * * SUN", "2026-01-01T00:00:00Z", "2026-01-04T00:00:00Z"},
		{"0 0 * * 6-7", "2026-01-03T00:00:00Z", "2026-01-04T00:00:00Z"},
		{"0 0 * * sat-sun", "2026-01-03T00:00:00Z", "2026-01-04T00:00:00Z"},
		{"0 0 * * 5-7/2", "2026-01-02T00:00:00Z", "2026-01-04T00:00:00Z"},
		{"0 0 * * 1,7", "2026-01-01T00:00:00Z", "2026-01-04T00:00:00Z"},
		{"0 0 * * 0-7", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"},
		{"0 0 * * ?", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"},
		{"0 0 1-7 * MON", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"},
		{"0 0 1-7 * MON", "2026-01-07T00:00:00Z", "2026-01-12T00:00:00Z"},
		{"0 0 31 * *", "2026-01-31T00:00:00Z", "2026-03-31T00:00:00Z"},
		{"0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"},
		{"0 0 29 2 *", "2096-03-01T00:00:00Z", "2104-02-29T00:00:00Z"},
		{"0 0 1 1 *", "1900-06-01T00:00:00Z", "1901-01-01T00:00:00Z"},
		{"0 22-2 * * *", "2026-01-01T02:00:00Z", "2026-01-01T22:00:00Z"},
		{"0 22-2 * * *", "2026-01-01T23:00:00Z", "2026-01-02T00:00:00Z"},
		{"0 22-3/2 * * *", "2026-01-01T00:00:00Z", "2026-01-01T02:00:00Z"},
		{"0 22-3/2 * * *", "2026-01-01T02:00:00Z", "2026-01-01T22:00:00Z"},
		{"0 0 * * FRI-MON", "2026-01-05T00:00:00Z", "2026-01-09T00:00:00Z"},
		{"0 0 * * 7-2", "2026-01-06T00:00:00Z", "2026-01-11T00:00:00Z"},
		{"0 0 30-2 * *", "2026-01-02T00:00:00Z", "2026-01-30T00:00:00Z"},
		{"0 0 1 NOV-FEB *", "2026-02-01T00:00:00Z", "2026-11-01T00:00:00Z"},
		{"15/20 * * * *", "2026-01-01T00:15:00Z", "2026-01-01T00:35:00Z"},
	}
	for _, tt := range tests {
		after, err := time.Parse(time.RFC3339, tt.after)
		if err != nil {
			t.Fatal(err)
		}
		if got := parse(t, tt.expr, cronspec.Options{}).Next(after).Format(time.RFC3339Nano); got != tt.want {
			t.Errorf("%q: Next(%s) = %s, want %s", tt.expr, tt.after, got, tt.want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		expr    string
		options cronspec.Options
		want    string // part of the message
	}{
		{"", cronspec.Options{}, "the expression is empty"},
		{" \t", cronspec.Options{}, "the expression is empty"},
		{"TZ=UTC", cronspec.Options{}, `"TZ=UTC" does not belong to the expression: put the zone into "timezone"`},
		{"TZ=", cronspec.Options{}, `put the zone into "timezone"`},
		{"CRON_TZ=Asia/Tokyo 0 0 * * *", cronspec.Options{}, `"CRON_TZ=Asia/Tokyo" does not belong`},
		{"@every 5s", cronspec.Options{}, `kind "every"`},
		{"@every", cronspec.Options{}, `kind "every"`},
		{"@every 10ms", cronspec.Options{}, `kind "every"`},
		{"@every -1s", cronspec.Options{}, `kind "every"`},
		{"@reboot", cronspec.Options{}, `kind "manual"`},
		{"@fortnightly", cronspec.Options{}, `want @hourly, @daily`},
		{"@daily please", cronspec.Options{}, `"@daily please" is not known`},
		{"* * * *", cronspec.Options{}, "has 4 fields"},
		{"0 0 2 * * * 2027", cronspec.Options{}, "has 7 fields"},
		{"0 0 * * * # nightly", cronspec.Options{}, "has 7 fields"},
		{"60 * * * *", cronspec.Options{}, `minute "60" is not understood; want 0 to 59`},
		{"0 24 * * *", cronspec.Options{}, `hour "24" is not understood; want 0 to 23`},
		{"0 0 0 * *", cronspec.Options{}, `day-of-month "0"`},
		{"0 0 * 13 *", cronspec.Options{}, `month "13" is not understood; want 1 to 12 or JAN to DEC`},
		{"0 0 * * 8", cronspec.Options{}, `day-of-week "8"`},
		{"0 0 * * 7-8", cronspec.Options{}, `day-of-week "7-8"`},
		{"0 0 * * 5-7/0", cronspec.Options{}, `day-of-week "5-7/0"`},
		{"0 0 * * FOO", cronspec.Options{}, `day-of-week "FOO"`},
		{"*/0 * * * *", cronspec.Options{}, `minute "*/0"`},
		{"*-5 * * * *", cronspec.Options{}, `minute "*-5"`},
		{", * * * * *", cronspec.Options{}, `second ","`},
		{"1,,2 * * * *", cronspec.Options{}, `minute "1,,2"`},
		{"+5 * * * *", cronspec.Options{}, `minute "+5"`},
		{"-5 * * * *", cronspec.Options{}, `minute "-5"`},
		{"0 0 L * *", cronspec.Options{}, `day-of-month "L": L, W and # need "dialect": "quartz", or list the days`},
		{"0 0 15W * *", cronspec.Options{}, `day-of-month "15W": L, W and #`},
		{"0 0 * * 1#2", cronspec.Options{}, `day-of-week "1#2": L, W and #`},
		{"0 0 * * FRIL", cronspec.Options{}, `day-of-week "FRIL": L, W and #`},
		{"0 0 * JULI *", cronspec.Options{}, `month "JULI" is not understood`},
		{"/3 * * * *", cronspec.Options{}, `minute "/3" is not understood`},
		{"0 0 * * 1#6", cronspec.Options{}, `day-of-week "1#6" is not understood`},
		{"HH * * * *", cronspec.Options{}, `minute "HH" is not understood`},
		{"H( * * * *", cronspec.Options{}, `minute "H("`},
		{"H) * * * *", cronspec.Options{}, `minute "H)"`},
		{"H() * * * *", cronspec.Options{}, `minute "H()"`},
		{"H(0-60) * * * *", cronspec.Options{}, `minute "H(0-60)"`},
		{"H/0 * * * *", cronspec.Options{}, `minute "H/0"`},
		{"0 0 H(1-29) * *", cronspec.Options{}, `day-of-month "H(1-29)"`},
		{"0 0 30 H *", cronspec.Options{}, `may never fire: a month that "H" may stand for has no such day`},
		{"0 0 30 H(2-2) *", cronspec.Options{}, "may never fire"},
		{"0 0 31 H(1-5),H(4-10) *", cronspec.Options{}, "may never fire"},
		{"H-5 * * * *", cronspec.Options{}, `minute "H-5"`},
		{"\u017fun * * * * *", cronspec.Options{}, "second"},
		{"0 0 * * \u017fun", cronspec.Options{}, "day-of-week"},
		{"0 0 * * *", cronspec.Options{Dialect: "vixie"}, `dialect "vixie" is not known; want "unix" or "quartz"`},
		{"0 0 30 2 *", cronspec.Options{}, "never fires"},
		{"0 0 31 4,6,9,11 *", cronspec.Options{}, "never fires"},
		{"0" + strings.Repeat(",0", 600) + " * * * *", cronspec.Options{}, "at most 1000"},
		{"0 0 * * *", cronspec.Options{Timezone: "Mars/Olympus"}, `"Mars/Olympus" is not a known time zone`},
		{"0 0 * * *", cronspec.Options{Timezone: "Local"}, `"Local" is not a known time zone`},
		{"0 0 * * *", cronspec.Options{Timezone: "../etc/passwd"}, "is not a known time zone"},
		{"0 0 * * *", cronspec.Options{Gap: "jump"}, `gap "jump" is not known; want "run_after" or "skip"`},
		{"0 0 * * *", cronspec.Options{OverlapHour: "thrice"}, `overlap_hour "thrice" is not known; want "once" or "twice"`},
	}
	for _, tt := range tests {
		_, err := cronspec.Parse(tt.expr, tt.options)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Parse(%.40q, %+v): error %v, want one with %q", tt.expr, tt.options, err, tt.want)
		}
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	tests := []struct{ expr, want string }{
		{"* * * * * *", "every second, in UTC"},
		{"*/10 * * * * *", "every 10 seconds, in UTC"},
		{"* * * * *", "every minute, in UTC"},
		{"*/5 * * * *", "every 5 minutes, in UTC"},
		{"@hourly", "every hour, in UTC"},
		{"0 */6 * * *", "every 6 hours, in UTC"},
		{"30 2 * * *", "at 02:30, every day, in UTC"},
		{"15 30 2,14 * * *", "at 02:30:15 and 14:30:15, every day, in UTC"},
		{"0 9 * * 1-5", "at 09:00, on Monday to Friday, in UTC"},
		{"0 9 * * 5-7", "at 09:00, on Friday to Sunday, in UTC"},
		{"0 9 * * 0,6", "at 09:00, on Saturday and Sunday, in UTC"},
		{"0 9 1 * *", "at 09:00, on day 1 of the month, in UTC"},
		{"0 9 1,15 1,7 *", "at 09:00, on days 1 and 15 of the month, in January and July, in UTC"},
		{"0 9 */2 * MON", "at 09:00, on days 1 to 31 in steps of 2 of the month if that is Monday, in UTC"},
		{"0 9 * * 1/2", "at 09:00, on Monday to Sunday in steps of 2, in UTC"},
		{"0 9 * JANUARY MONDAY-friday", "at 09:00, on Monday to Friday, in January, in UTC"},
		{"0 9 1 * MON", "at 09:00, on day 1 of the month or on Monday, in UTC"},
		{"@yearly", "at 00:00, on day 1 of the month, in January, in UTC"},
		{"0 0 * 6-8 *", "at 00:00, every day, in June to August, in UTC"},
		{"5 * * * *", "at minute 5 of every hour, in UTC"},
		{"*/7 9-17 * * *", "at minutes 0 to 56 in steps of 7 of hours 9 to 17, in UTC"},
		{"1,2,30 5 * * * *", "at seconds 1, 2 and 30 of minute 5 of every hour, in UTC"},
		{"0 8,10-12,20 * * *", "at minute 0 of hours 8, 10 to 12 and 20, in UTC"},
	}
	for _, tt := range tests {
		if got := parse(t, tt.expr, cronspec.Options{}).Text(); got != tt.want {
			t.Errorf("%q: got  %q\nwant %q", tt.expr, got, tt.want)
		}
	}
	if got, want := parse(t, "30 2 * * *", cronspec.Options{Timezone: "Asia/Shanghai"}).Text(), "at 02:30, every day, in Asia/Shanghai"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	const zone = "America/New_York"
	tests := []struct {
		expr    string
		options cronspec.Options
		want    []string
	}{
		{"30 2 * * *", cronspec.Options{}, nil},
		{"0 * * * *", cronspec.Options{Timezone: zone}, nil},
		{"0 9 * * *", cronspec.Options{Timezone: zone}, nil},
		{"30 2 * * *", cronspec.Options{Timezone: zone}, []string{
			`on 2027-03-14 the clocks of America/New_York skip from 02:00 to 03:00: the fire of 02:30 happens at 03:00 ("gap": "run_after")`}},
		{"30 2 * * *", cronspec.Options{Timezone: zone, Gap: firjob.GapSkip}, []string{
			`on 2027-03-14 the clocks of America/New_York skip from 02:00 to 03:00: the fire of 02:30 does not happen ("gap": "skip")`}},
		{"30 1 * * *", cronspec.Options{Timezone: zone}, []string{
			`on 2026-11-01 the clocks of America/New_York go back from 02:00 to 01:00: the fire of 01:30 happens the first time only ("overlap_hour": "once")`}},
		{"30 1 * * *", cronspec.Options{Timezone: zone, OverlapHour: firjob.OverlapTwice}, []string{
			`on 2026-11-01 the clocks of America/New_York go back from 02:00 to 01:00: the fire of 01:30 happens both times ("overlap_hour": "twice")`}},
		{"0 9 1 * MON", cronspec.Options{}, []string{
			"day-of-month and day-of-week are both given: a day that fits either one is enough (OR)"}},
		{"0 9 31 * *", cronspec.Options{}, []string{"not every month has a day 31: those without it are left out"}},
		{"0 9 28 * *", cronspec.Options{}, nil},
		{"*/90 * * * *", cronspec.Options{}, []string{`the step of minute "*/90" is longer than its range: only the first value counts`}},
		{"0 9 ? * MON", cronspec.Options{}, nil},
		{"0 0 9 ? * 2-6", cronspec.Options{}, []string{
			`day-of-week "2-6" is Tuesday to Saturday here; in the quartz dialect, which "?" suggests, it is Monday to Friday: ` +
				`write the names of the days, or set "dialect": "quartz"`}},
		{"0 0 9 * * 2", cronspec.Options{}, []string{
			`day-of-week "2" is Tuesday here; in the quartz dialect, which six fields suggest, it is Monday: ` +
				`write the names of the days, or set "dialect": "quartz"`}},
		{"0 0 9 * * 0", cronspec.Options{}, nil}, // which Quartz does not know
		{"0 0 9 * * MON", cronspec.Options{}, nil},
		{"0 9 * * 2", cronspec.Options{}, nil},
		{"0 0 */2 * 1", cronspec.Options{}, []string{
			`a day must fit both day-of-month "*/2" and day-of-week "1" (AND), as in crontab, because one of them begins with "*"; ` +
				`robfig/cron and Kubernetes take a day that fits either (OR): for that, write a range in place of "*", as 1-31/2 or 0-6/2`}},
		{"0 0 5,* * 1", cronspec.Options{}, []string{
			`robfig/cron and Kubernetes take only a day that fits both day-of-month "5,*" and day-of-week "1" (AND), because one of them has a "*"; ` +
				`in crontab only a "*" at the beginning counts`,
			"day-of-month and day-of-week are both given: a day that fits either one is enough (OR)"}},
		{"0 0 */2 * *", cronspec.Options{}, nil},
		{"0 0 1-31/2 * 1", cronspec.Options{}, []string{
			"day-of-month and day-of-week are both given: a day that fits either one is enough (OR)"}},
		{"* 2 * * *", cronspec.Options{}, []string{
			`minute "*" with hour "2" fires 60 times in each such hour: write 0 in place of "*" if once is meant`}},
		{"* 0,12 * * *", cronspec.Options{}, []string{
			`minute "*" with hour "0,12" fires 60 times in each such hour: write 0 in place of "*" if once is meant`}},
		{"* * 2 * * *", cronspec.Options{}, []string{
			`minute "*" with hour "2" fires 3600 times in each such hour: write 0 in place of "*" if once is meant`}},
		{"* 30 2 * * *", cronspec.Options{}, []string{
			`second "*" with minute "30" fires 60 times in each such minute: write 0 in place of "*" if once is meant`}},
		{"* 9-17 * * *", cronspec.Options{}, nil},
		{"*/5 2 * * *", cronspec.Options{}, nil},
		{"* * * * *", cronspec.Options{}, nil},
		{"0 12 30 12 *", cronspec.Options{Timezone: "Pacific/Apia"}, nil},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, parse(t, tt.expr, tt.options).Warnings(now)); diff != "" {
			t.Errorf("%q %+v (-want +got):\n%s", tt.expr, tt.options, diff)
		}
	}
}
