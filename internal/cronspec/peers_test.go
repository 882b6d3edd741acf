package cronspec_test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/cronexpr"
	"github.com/robfig/cron/v3"
	"pgregory.net/rapid"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/cronspec"
)

// This file compares matches with those of two other implementations, in UTC,
// where no rule for the clocks can differ. Day fields are drawn in their terms
// and ours at once, as each counts the days of the week otherwise.

// bilingual is a day field in Quartz's terms and in those of hashicorp/cronexpr.
type bilingual struct{ quartz, other string }

// anyMonthDays draws a day-of-month field.
func anyMonthDays() *rapid.Generator[bilingual] {
	same := func(text string) bilingual { return bilingual{text, text} }
	item := rapid.OneOf(
		rapid.Map(rapid.IntRange(1, 31), func(n int) bilingual { return same(strconv.Itoa(n)) }),
		rapid.Map(rapid.IntRange(1, 31), func(n int) bilingual { return same(strconv.Itoa(n) + "W") }),
		rapid.Map(rapid.IntRange(1, 30), func(n int) bilingual { return same(fmt.Sprintf("%d-31/3", n)) }),
		rapid.Just(same("L")),
		rapid.Just(same("LW")),
	)
	return joined(item)
}

// anyWeekDays draws a day-of-week field, in numbers or in words.
func anyWeekDays() *rapid.Generator[bilingual] {
	words := []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}
	item := rapid.Custom(func(t *rapid.T) bilingual {
		day := rapid.IntRange(0, 6).Draw(t, "day")
		suffix := rapid.SampledFrom([]string{"", "L", "#1", "#2", "#3", "#4", "#5"}).Draw(t, "which")
		ours := strconv.Itoa(day + 1)
		if rapid.Bool().Draw(t, "word") {
			ours = words[day]
		}
		return bilingual{ours + suffix, strconv.Itoa(day) + suffix}
	})
	return joined(item)
}

func joined(item *rapid.Generator[bilingual]) *rapid.Generator[bilingual] {
	return rapid.Map(rapid.SliceOfN(item, 1, 3), func(list []bilingual) bilingual {
		var all bilingual
		for i, one := range list {
			if i > 0 {
				all.quartz, all.other = all.quartz+",", all.other+","
			}
			all.quartz, all.other = all.quartz+one.quartz, all.other+one.other
		}
		return all
	})
}

func TestQuartzAgreesWithCronexpr(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		for range 8 {
			times := strings.Join([]string{anyField(0, 59).Draw(t, "second"), anyField(0, 59).Draw(t, "minute"), anyField(0, 23).Draw(t, "hour")}, " ")
			months := anyField(1, 12).Draw(t, "month")
			years := rapid.SampledFrom([]string{"*", "2024-2098/2", "2027,2028,2096", "2000-2099"}).Draw(t, "year")
			dom, dow := bilingual{"?", "*"}, bilingual{"?", "*"}
			if rapid.Bool().Draw(t, "by week") {
				dow = anyWeekDays().Draw(t, "day of week")
			} else {
				dom = anyMonthDays().Draw(t, "day of month")
			}
			other, err := cronexpr.Parse(strings.Join([]string{times, dom.other, months, dow.other, years}, " "))
			if err != nil {
				t.Fatalf("cronexpr: %v", err)
			}
			expr := strings.Join([]string{times, dom.quartz, months, dow.quartz, years}, " ")
			spec, err := cronspec.Parse(expr, cronspec.Options{Dialect: firjob.DialectQuartz})
			start := time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
			if err != nil {
				if fire := other.Next(start); !fire.IsZero() {
					t.Fatalf("Parse(%q): %v, but cronexpr fires at %v", expr, err, fire)
				}
				continue
			}
			sameMatches(t, expr, spec.Next, other.Next, time.Date(2099, 12, 31, 23, 59, 59, 0, time.UTC))
		}
	})
}

// The unix dialect reads what robfig/cron's own parser reads, as that does, but
// for the two rules of crontab that it lacks (crontab_test.go).
func TestUnixAgreesWithRobfig(t *testing.T) {
	t.Parallel()
	parser := cron.NewParser(cron.Second | cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)
	// Whether a day field is open: one has a star without a step, or begins with a star.
	unstepped, leading := regexp.MustCompile(`[*?](/1)?(,|$)`), regexp.MustCompile(`^[*?]`)
	toSunday := regexp.MustCompile(`(^|,)\d/`)
	rapid.Check(t, func(t *rapid.T) {
		for range 8 {
			dom := anyPlain(1, 28).Draw(t, "day of month")
			dow := anyPlain(0, 6).Filter(func(text string) bool { return !toSunday.MatchString(text) }).Draw(t, "day of week")
			if (unstepped.MatchString(dom) || unstepped.MatchString(dow)) != (leading.MatchString(dom) || leading.MatchString(dow)) {
				continue
			}
			expr := strings.Join([]string{
				anyPlain(0, 59).Draw(t, "second"), anyPlain(0, 59).Draw(t, "minute"), anyPlain(0, 23).Draw(t, "hour"),
				dom, anyPlain(1, 12).Draw(t, "month"), dow,
			}, " ")
			other, err := parser.Parse(expr)
			if err != nil {
				t.Fatalf("robfig/cron: %q: %v", expr, err)
			}
			spec, err := cronspec.Parse(expr, cronspec.Options{})
			if err != nil {
				t.Fatalf("Parse(%q): %v", expr, err)
			}
			sameMatches(t, expr, spec.Next, other.Next, time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC))
		}
	})
}

// anyPlain draws a field with every form that robfig/cron knows.
func anyPlain(low, high int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		items := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string {
			from := rapid.IntRange(low, high).Draw(t, "from")
			span := rapid.SampledFrom([]string{"*", "?", strconv.Itoa(from),
				fmt.Sprintf("%d-%d", from, rapid.IntRange(from, high).Draw(t, "to"))}).Draw(t, "span")
			return span + rapid.SampledFrom([]string{"", "/1", "/2", "/7", "/99"}).Draw(t, "step")
		}), 1, 3).Draw(t, "items")
		return strings.Join(items, ",")
	})
}

// sameMatches compares six matches from a drawn instant on, up to end.
func sameMatches(t *rapid.T, expr string, ours, theirs func(time.Time) time.Time, end time.Time) {
	at := time.Unix(rapid.Int64Range(0, end.Unix()).Draw(t, "from"), 0).UTC()
	for range 6 {
		got, want := ours(at), theirs(at)
		if got.After(end) {
			got = time.Time{}
		}
		if want.After(end) {
			want = time.Time{}
		}
		if !got.Equal(want) {
			t.Fatalf("%q after %v: got %v, the other implementation %v", expr, at, got, want)
		}
		if got.IsZero() {
			return
		}
		at = got
	}
}
