package cronspec_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/cronspec"
)

func quartz(t testing.TB, expr string) *cronspec.Spec {
	t.Helper()
	return parse(t, expr, cronspec.Options{Dialect: firjob.DialectQuartz})
}

func TestQuartzNext(t *testing.T) {
	t.Parallel()
	tests := []struct {
		expr, after string
		want        []string
	}{
		{"0 0 12 * * ?", "2026-01-01T12:00:00Z", []string{"2026-01-02T12:00:00Z"}},
		{"0 15 10 ? * MON-FRI", "2026-01-02T10:15:00Z", []string{"2026-01-05T10:15:00Z"}},
		{"0 15 10 ? * 2-6", "2026-01-02T10:15:00Z", []string{"2026-01-05T10:15:00Z"}},
		{"0 0 0 ? * 1", "2026-01-01T00:00:00Z", []string{"2026-01-04T00:00:00Z"}}, // Sunday
		{"0 0 0 ? * 7", "2026-01-01T00:00:00Z", []string{"2026-01-03T00:00:00Z"}},
		{"0 0 0 ? * L", "2026-01-01T00:00:00Z", []string{"2026-01-03T00:00:00Z"}},
		{"0 0 0 ? * fri-mon", "2026-01-05T00:00:00Z", []string{"2026-01-09T00:00:00Z"}},
		{"0 0/5 14,18 * * ?", "2026-01-01T14:55:00Z", []string{"2026-01-01T18:00:00Z"}},
		{"0 0 22-2 * * ?", "2026-01-01T02:00:00Z", []string{"2026-01-01T22:00:00Z"}},
		{"0 0 0 L * ?", "2026-01-31T00:00:00Z", []string{"2026-02-28T00:00:00Z", "2026-03-31T00:00:00Z"}},
		{"0 0 0 L 2 ?", "2026-03-01T00:00:00Z", []string{"2027-02-28T00:00:00Z", "2028-02-29T00:00:00Z"}},
		{"0 0 0 L-2 * ?", "2026-01-31T00:00:00Z", []string{"2026-02-26T00:00:00Z"}},
		{"0 0 0 L-30 * ?", "2026-01-31T00:00:00Z", []string{"2026-03-01T00:00:00Z", "2026-05-01T00:00:00Z"}},
		{"0 0 0 15W * ?", "2026-01-31T00:00:00Z", []string{"2026-02-16T00:00:00Z", "2026-03-16T00:00:00Z", "2026-04-15T00:00:00Z"}},
		{"0 0 0 1W * ?", "2026-01-31T00:00:00Z", []string{"2026-02-02T00:00:00Z"}},                          // the 1st a Sunday
		{"0 0 0 1W * ?", "2026-07-31T00:00:00Z", []string{"2026-08-03T00:00:00Z"}},                          // a Saturday: not back into July
		{"0 0 0 31W * ?", "2026-01-31T00:00:00Z", []string{"2026-03-31T00:00:00Z", "2026-05-29T00:00:00Z"}}, // 31 May a Sunday: not on into June
		{"0 0 0 LW * ?", "2026-01-31T00:00:00Z", []string{"2026-02-27T00:00:00Z"}},
		{"0 0 0 L-1W * ?", "2026-01-31T00:00:00Z", []string{"2026-02-27T00:00:00Z", "2026-03-30T00:00:00Z"}},
		{"0 0 0 1,L * ?", "2026-01-31T00:00:00Z", []string{"2026-02-01T00:00:00Z", "2026-02-28T00:00:00Z"}},
		{"0 0 0 ? * 6L", "2026-01-31T00:00:00Z", []string{"2026-02-27T00:00:00Z"}},
		{"0 0 0 ? * FRIL", "2026-02-27T00:00:00Z", []string{"2026-03-27T00:00:00Z"}},
		{"0 0 0 ? * 6#3", "2026-01-31T00:00:00Z", []string{"2026-02-20T00:00:00Z"}},
		{"0 0 0 ? * MON#1,MON#3", "2026-01-31T00:00:00Z", []string{"2026-02-02T00:00:00Z", "2026-02-16T00:00:00Z", "2026-03-02T00:00:00Z"}},
		{"0 0 0 ? * FRI#5", "2026-01-31T00:00:00Z", []string{"2026-05-29T00:00:00Z"}},
		{"0 0 0 ? 2 FRI#5", "2026-01-31T00:00:00Z", []string{"2036-02-29T00:00:00Z", "2064-02-29T00:00:00Z", "2092-02-29T00:00:00Z", "2104-02-29T00:00:00Z"}},
		{"0 0 0 31 H(7-8) ?", "2026-09-01T00:00:00Z", nil},
		{"0 0 0 29 2 ?", "2096-03-01T00:00:00Z", []string{"2104-02-29T00:00:00Z"}},
		{"0 0 0 1 1 ? 2027", "2026-01-01T00:00:00Z", []string{"2027-01-01T00:00:00Z", ""}},
		{"0 0 0 1 1 ? 2027-2031/2", "2027-01-01T00:00:00Z", []string{"2029-01-01T00:00:00Z", "2031-01-01T00:00:00Z", ""}},
		{"0 0 0 1 1 ? 2030,2040", "1960-01-01T00:00:00Z", []string{"2030-01-01T00:00:00Z", "2040-01-01T00:00:00Z", ""}},
		{"0 0 0 1 1 ? *", "2198-12-01T00:00:00Z", []string{"2199-01-01T00:00:00Z", "2200-01-01T00:00:00Z"}},
		{"59 59 23 31 12 ? 2199", "2026-01-01T00:00:00Z", []string{"2199-12-31T23:59:59Z", ""}},
	}
	for _, tt := range tests {
		spec := quartz(t, tt.expr)
		at, err := time.Parse(time.RFC3339, tt.after)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range tt.want {
			next, got := spec.Next(at), ""
			if !next.IsZero() {
				got = next.Format(time.RFC3339)
			}
			if got != want {
				t.Errorf("%q: Next(%v) = %s, want %s", tt.expr, at, got, want)
			}
			at = next
		}
	}
}

func TestQuartzErrors(t *testing.T) {
	t.Parallel()
	tests := []struct{ expr, want string }{
		{"", "the expression is empty"},
		{"@daily", `"@daily" is of the unix dialect`},
		{"TZ=UTC 0 0 0 * * ?", `put the zone into "timezone"`},
		{"0 0 * * ?", "has 5 fields; want 6 (second minute hour day-of-month month day-of-week), or 7"},
		{"0 0 0 * * ? * *", "has 8 fields"},
		{"0 0 12 1 * MON", `both given, which this dialect cannot: put "?" into the one`},
		{"0 0 12 * * *", `put "?" into the one that does not matter`},
		{"0 0 12 ? * ?", `both "?": put "*" into one of them`},
		{"? 0 12 * * ?", `second "?" is not understood`},
		{"0 0 12 * ? *", `month "?" is not understood`},
		{"0 0 12 1,? * ?", `day-of-month "1,?" is not understood`},
		{"0 0 12 ? * 0", `day-of-week "0" is not understood; want 1 to 7 or SUN to SAT`},
		{"0 0 12 ? * 8", `day-of-week "8"`},
		{"0 0 12 ? * 8L", `day-of-week "8L"`},
		{"0 0 12 ? * 6#0", `day-of-week "6#0"`},
		{"0 0 12 ? * 6#6", `day-of-week "6#6"`},
		{"0 0 12 ? * 6#", `day-of-week "6#"`},
		{"0 0 12 ? * #2", `day-of-week "#2"`},
		{"0 0 12 ? * LW", `day-of-week "LW"`},
		{"0 0 12 32W * ?", `day-of-month "32W"`},
		{"0 0 12 0W * ?", `day-of-month "0W"`},
		{"0 0 12 W * ?", `day-of-month "W"`},
		{"0 0 12 1-5W * ?", `day-of-month "1-5W"`},
		{"0 0 12 L-0 * ?", `day-of-month "L-0"`},
		{"0 0 12 L-31 * ?", `day-of-month "L-31"`},
		{"0 0 12 L3 * ?", `day-of-month "L3"`},
		{"0 0 12 L/2 * ?", `day-of-month "L/2"`},
		{"0 0 12 * * ? 1969", `year "1969" is not understood; want 1970 to 2199`},
		{"0 0 12 * * ? 2200", `year "2200"`},
		{"0 0 12 * * ? 2030-2027", `year "2030-2027"`},
		{"0 0 12 * * ? H", `year "H"`},
		{"0 0 12 * * ? ?", `year "?"`},
		{"0 0 12 L-29 H ?", "may never fire"},
		{"0 0 12 31 2 ?", "never fires"},
		{"0 0 12 31W 2,4 ?", "never fires"},
		{"0 0 12 L-30 2 ?", "never fires"},
		{"0 0 12 29 2 ? 2027", "never fires"},
		{"0 0 12 29 2 ? 2100", "never fires"},
		{"0 0 12 ? 2 FRI#5 2027-2035", "never fires"},
	}
	for _, tt := range tests {
		_, err := cronspec.Parse(tt.expr, cronspec.Options{Dialect: firjob.DialectQuartz})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Parse(%q): error %v, want one with %q", tt.expr, err, tt.want)
		}
	}
}

func TestQuartzText(t *testing.T) {
	t.Parallel()
	tests := []struct{ expr, want string }{
		{"0/10 * * * * ?", "every 10 seconds"},
		{"0 0 12 * * ?", "at 12:00, every day"},
		{"0 0 12 ? * *", "at 12:00, every day"},
		{"0 0 12 /3 * ?", "at 12:00, on days 1 to 31 in steps of 3 of the month"},
		{"/15 * * * * ?", "every 15 seconds"},
		{"0 0 12 ? january-Mar FRIDAYL,MONDAY#2", "at 12:00, on the last Friday of the month and on the second Monday of the month, in January to March"},
		{"0 0 12 ? * 2-6", "at 12:00, on Monday to Friday"},
		{"0 0 12 ? * SAT-MON", "at 12:00, on Monday, Saturday and Sunday"},
		{"0 0 12 1,15 * ?", "at 12:00, on days 1 and 15 of the month"},
		{"0 0 12 L * ?", "at 12:00, on the last day of the month"},
		{"0 0 12 L-1 * ?", "at 12:00, on the day 1 day before the last of the month"},
		{"0 0 12 LW 6 ? 2027", "at 12:00, on the last weekday (Monday to Friday) of the month, in June, in 2027"},
		{"0 0 12 15W * ?", "at 12:00, on the weekday (Monday to Friday) nearest to day 15 of the month"},
		{"0 0 12 L-2W * ?", "at 12:00, on the weekday (Monday to Friday) nearest to the day 2 days before the last of the month"},
		{"0 0 12 15,L * ?", "at 12:00, on day 15 of the month and on the last day of the month"},
		{"0 0 12 ? * 6L", "at 12:00, on the last Friday of the month"},
		{"0 0 12 ? * FRI#2", "at 12:00, on the second Friday of the month"},
		{"0 0 12 ? * MON#1,TUE", "at 12:00, on Tuesday and on the first Monday of the month"},
		{"0 0 12 * * ? 2027-2029", "at 12:00, every day, in 2027 to 2029"},
	}
	for _, tt := range tests {
		if got, want := quartz(t, tt.expr).Text(), tt.want+", in UTC"; got != want {
			t.Errorf("%q: got  %q\nwant %q", tt.expr, got, want)
		}
	}
}

func TestQuartzWarnings(t *testing.T) {
	t.Parallel()
	tests := []struct {
		expr string
		want []string
	}{
		{"0 0 12 L * ?", nil},
		{"0 0 12 LW * ?", nil},
		{"0 0 12 ? * 6L", []string{`day-of-week "6L" counts from Sunday = 1, as in Quartz: it is the last Friday of the month`}},
		{"0 0 12 ? * 1", []string{`day-of-week "1" counts from Sunday = 1, as in Quartz: it is Sunday`}},
		{"0 0 12 ? * 2-6", []string{`day-of-week "2-6" counts from Sunday = 1, as in Quartz: it is Monday to Friday`}},
		{"0 0 12 ? * MON/2", nil},
		{"0 0 12 ? * */2", nil},
		{"0 0 12 ? * H", []string{`day-of-week "H" stands for Tuesday here: that follows from the job's app and name`}},
		{"0 * 12 * * ?", []string{`minute "*" with hour "12" fires 60 times in each such hour: write 0 in place of "*" if once is meant`}},
		{"0 0 12 ? * FRI#4", nil},
		{"0 0 12 31 * ?", []string{"not every month has a day 31: those without it are left out"}},
		{"0 0 12 31W * ?", []string{"not every month has a day 31: those without it are left out"}},
		{"0 0 12 L-30 * ?", []string{"not every month has a day 30 days before its last: those without it are left out"}},
		{"0 0 12 ? * FRI#5", []string{"not every month has a fifth Friday: those without it are left out"}},
		{"0 0 12 ? * L", []string{`day-of-week "L" is Saturday, the last day of the week; the last Saturday of the month is "SATL"`}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, quartz(t, tt.expr).Warnings(time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC))); diff != "" {
			t.Errorf("%q (-want +got):\n%s", tt.expr, diff)
		}
	}
}

// A year that ends the schedule does not hide the second showing of its last
// fire.
func TestQuartzLastFireTwice(t *testing.T) {
	t.Parallel()
	const zone = "America/New_York"
	spec := parse(t, "0 30 1 1 11 ? 2026", cronspec.Options{Dialect: firjob.DialectQuartz, Timezone: zone, OverlapHour: firjob.OverlapTwice})
	got := fires(spec, zone, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
	if diff := cmp.Diff([]string{"01 01:30:00 -0400", "01 01:30:00 -0500"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if last := spec.Next(time.Date(2026, 11, 1, 6, 30, 0, 0, time.UTC)); !last.IsZero() {
		t.Errorf("after the last fire: got %v, want none", last)
	}
}
