package cronspec_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/cronspec"
)

// anyField draws a field of numbers from low to high.
func anyField(low, high int) *rapid.Generator[string] {
	number := rapid.StringMatching(`[0-9]{1,2}`).Filter(func(s string) bool { return inRange(s, low, high) })
	return rapid.OneOf(
		rapid.Just("*"), rapid.Just("*"),
		rapid.SampledFrom([]string{"*/2", "*/7", "*/10"}),
		number,
		rapid.Map(rapid.SliceOfN(number, 1, 4), func(list []string) string { return strings.Join(list, ",") }),
	)
}

func inRange(text string, low, high int) bool {
	n := 0
	for _, digit := range text {
		n = 10*n + int(digit-'0')
	}
	return low <= n && n <= high
}

// anySpec draws a schedule that fires some time.
func anySpec(t *rapid.T) *cronspec.Spec {
	expr := strings.Join([]string{
		anyField(0, 59).Draw(t, "second"), anyField(0, 59).Draw(t, "minute"), anyField(0, 23).Draw(t, "hour"),
		anyField(1, 28).Draw(t, "day of month"), anyField(1, 12).Draw(t, "month"), anyField(0, 7).Draw(t, "day of week"),
	}, " ")
	spec, err := cronspec.Parse(expr, cronspec.Options{
		Timezone: rapid.SampledFrom([]string{"UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe",
			"America/Sao_Paulo", "Asia/Shanghai", "Africa/Casablanca", "Pacific/Apia"}).Draw(t, "zone"),
		Gap:         rapid.SampledFrom([]firjob.Gap{firjob.GapRunAfter, firjob.GapSkip}).Draw(t, "gap"),
		OverlapHour: rapid.SampledFrom([]firjob.OverlapHour{firjob.OverlapOnce, firjob.OverlapTwice}).Draw(t, "overlap"),
	})
	if err != nil {
		t.Fatalf("Parse(%q): %v", expr, err)
	}
	return spec
}

func anyInstant(t *rapid.T) time.Time {
	ms := rapid.Int64Range(time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli(),
		time.Date(2110, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()).Draw(t, "after")
	return time.UnixMilli(ms)
}

// Each fire is later than what was asked for, whole seconds, in UTC; and asking
// again from anywhere between two fires gives the same answer, so a restart
// neither loses nor doubles one.
func TestNextProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		spec, after := anySpec(t), anyInstant(t)
		for range 5 {
			next := spec.Next(after)
			if !next.After(after) {
				t.Fatalf("Next(%v) = %v is not later", after, next)
			}
			if next.Nanosecond() != 0 || next.Location() != time.UTC {
				t.Fatalf("Next(%v) = %v is not a whole second in UTC", after, next)
			}
			between := after.Add(time.Duration(rapid.Float64Range(0, 1).Draw(t, "part") * float64(next.Sub(after))))
			for _, from := range []time.Time{between, next.Add(-time.Millisecond)} {
				if again := spec.Next(from); from.Before(next) && !again.Equal(next) {
					t.Fatalf("Next(%v) = %v, but Next(%v) = %v", after, next, from, again)
				}
			}
			after = next
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"", "* * * * *", "*/5 0-23/2 1,15 JAN-MAR sun", "0 0 * * 5-7/2", "TZ=UTC", "CRON_TZ= ", "@every 1s",
		"@daily ", "0 0 30 2 *", "0 0 29 2 *", ", , , , ,", "*-5 ?/3 1- -1 /", "0 0 L * 1#2", "0 0 * * SUN-SUN", "9/9999 * * * * 7",
		"H H(22-4)/2 H * H(MON-FRI)", "0 0 12 LW,L-3W,15W * ? 2027-2199/3", "0 0 0 ? 2 FRI#5", "0 0 0 ? * 6L,L,SUN#1"} {
		for _, dialect := range []string{firjob.DialectUnix, firjob.DialectQuartz} {
			f.Add(seed, "UTC", dialect)
			f.Add(seed, "Australia/Lord_Howe", dialect)
		}
	}
	f.Add("* * * * *", "Local", "")
	f.Add("* * * * *", "\x00", "")
	from := time.Date(2026, 3, 8, 6, 59, 59, 0, time.UTC)
	f.Fuzz(func(t *testing.T, expr, zone, dialect string) {
		spec, err := cronspec.Parse(expr, cronspec.Options{Timezone: zone, Dialect: dialect})
		if err != nil {
			if spec != nil || err.Error() == "" {
				t.Fatalf("Parse(%q): %v, %v", expr, spec, err)
			}
			return
		}
		next := spec.Next(from)
		if over := next.IsZero() && len(strings.Fields(expr)) == 7; !next.After(from) && !over {
			t.Fatalf("%q in %q: Next(%v) = %v", expr, zone, from, next)
		}
		if why := spec.WhyNot(next); !next.IsZero() && why != "" {
			t.Fatalf("%q in %q: fires at %v, but %s", expr, zone, next, why)
		}
		if spec.Text() == "" {
			t.Fatalf("%q has no text", expr)
		}
		spec.Warnings(from)
	})
}

func BenchmarkNext(b *testing.B) {
	benchmarks := []struct{ name, expr, zone, dialect string }{
		{"each-second-utc", "* * * * * *", "UTC", firjob.DialectUnix},
		{"each-5-minutes-utc", "*/5 * * * *", "UTC", firjob.DialectUnix},
		{"daily-shanghai", "0 2 * * *", "Asia/Shanghai", firjob.DialectUnix},
		{"daily-new-york", "30 2 * * *", "America/New_York", firjob.DialectUnix},
		{"yearly-new-york", "0 0 1 1 *", "America/New_York", firjob.DialectUnix},
		{"leap-day-new-york", "0 0 29 2 *", "America/New_York", firjob.DialectUnix},
		{"quartz-each-5-minutes-utc", "0 0/5 * * * ?", "UTC", firjob.DialectQuartz},
		{"quartz-last-friday-new-york", "0 30 2 ? * 6L", "America/New_York", firjob.DialectQuartz},
	}
	for _, bb := range benchmarks {
		b.Run(bb.name, func(b *testing.B) {
			spec := parse(b, bb.expr, cronspec.Options{Timezone: bb.zone, Dialect: bb.dialect})
			start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			at := start
			b.ReportAllocs()
			for b.Loop() {
				if at = spec.Next(at); at.Year() > 2090 {
					at = start
				}
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	for _, zone := range []string{"UTC", "America/New_York"} {
		b.Run(zone, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				parse(b, "*/5 9-17 * * MON-FRI", cronspec.Options{Timezone: zone})
			}
		})
	}
}
