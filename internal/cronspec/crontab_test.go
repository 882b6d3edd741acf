package cronspec_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/firjob/firjob/internal/cronspec"
)

// This file compares the unix dialect with crontab(5) as Vixie's and cronie's cron
// read it: bitmaps, a star at the beginning of a day field, and a look at every
// minute.

// crontabSet reads a field as cron does: 7 is Sunday, and N/step goes on to high.
func crontabSet(text string, low, high int) map[int]bool {
	set := map[int]bool{}
	for item := range strings.SplitSeq(text, ",") {
		span, stepText, stepped := strings.Cut(item, "/")
		from, to, step := low, high, 1
		if stepped {
			step, _ = strconv.Atoi(stepText)
		}
		if span != "*" {
			first, last, ranged := strings.Cut(span, "-")
			from, _ = strconv.Atoi(first)
			switch {
			case ranged:
				to, _ = strconv.Atoi(last)
			case !stepped:
				to = from
			}
		}
		for v := from; v <= to; v += step {
			set[v] = true
		}
	}
	return set
}

// crontab returns whether cron runs an entry of five fields in a minute.
func crontab(expr string) func(time.Time) bool {
	f := strings.Fields(expr)
	minutes, hours, months := crontabSet(f[0], 0, 59), crontabSet(f[1], 0, 23), crontabSet(f[3], 1, 12)
	dom, dow := crontabSet(f[2], 1, 31), crontabSet(f[4], 0, 7)
	dow[0] = dow[0] || dow[7]
	both := f[2][0] == '*' || f[4][0] == '*'
	return func(at time.Time) bool {
		byMonth, byWeek := dom[at.Day()], dow[int(at.Weekday())]
		day := byMonth || byWeek
		if both {
			day = byMonth && byWeek
		}
		return minutes[at.Minute()] && hours[at.Hour()] && months[int(at.Month())] && day
	}
}

// anyCrontab draws a field with every form of crontab(5), the star within a list
// included.
func anyCrontab(low, high int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string {
			from := rapid.IntRange(low, high).Draw(t, "from")
			span := rapid.SampledFrom([]string{"*", strconv.Itoa(from),
				fmt.Sprintf("%d-%d", from, rapid.IntRange(from, high).Draw(t, "to"))}).Draw(t, "span")
			return span + rapid.SampledFrom([]string{"", "", "/1", "/2", "/7", "/99"}).Draw(t, "step")
		}), 1, 3).Draw(t, "items"), ",")
	})
}

func TestUnixAgreesWithCrontab(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		expr := strings.Join([]string{
			rapid.SampledFrom([]string{"0", "30", "0,59"}).Draw(t, "minute"), rapid.SampledFrom([]string{"0", "*/7", "22-23"}).Draw(t, "hour"),
			anyCrontab(1, 28).Draw(t, "day of month"), rapid.SampledFrom([]string{"*", "2", "*/5"}).Draw(t, "month"),
			anyCrontab(0, 7).Draw(t, "day of week"),
		}, " ")
		sameMinutes(t, expr, time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "from"), 0).UTC().Truncate(time.Minute), 60*24*60)
	})
}

// sameMinutes compares the fires of so many minutes with what cron does in each.
func sameMinutes(t rapid.TB, expr string, start time.Time, minutes int) {
	t.Helper()
	spec, err := cronspec.Parse(expr, cronspec.Options{})
	if err != nil {
		t.Fatalf("Parse(%q): %v", expr, err)
	}
	runs := crontab(expr)
	var got, want []time.Time
	end := start.Add(time.Duration(minutes) * time.Minute)
	for at := start; at.Before(end); at = at.Add(time.Minute) {
		if runs(at) {
			want = append(want, at)
		}
	}
	for at := spec.Next(start.Add(-1)); !at.IsZero() && at.Before(end); at = spec.Next(at) {
		got = append(got, at)
	}
	if !slices.EqualFunc(got, want, time.Time.Equal) {
		t.Fatalf("%q from %v: cron does not do what Next says:\n%s", expr, start, difference(got, want))
	}
}

func TestCrontabsRuleForTwoDayFields(t *testing.T) {
	t.Parallel()
	for _, expr := range []string{"0 0 */2 * 1", "0 0 1 * */2", "0 0 1-31/2 * 1", "0 0 */2 * */2", "0 0 5,* * 1", "0 0 *,5 * 1",
		"0 0 * * 1/2", "0 0 * * 5/1", "0 0 * * 2/5", "0 0 * * 1-7/2", "0 0 * * 0/7", "0 0 * * 7/2", "0 0 * * 6/3"} {
		sameMinutes(t, expr, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), 120*24*60)
	}
}

// 29 February on a Sunday, where day-of-week begins with a star and so both
// fields count: 40 years pass around 2100.
func TestRareDays(t *testing.T) {
	t.Parallel()
	spec := parse(t, "0 0 29 2 */7", cronspec.Options{})
	at := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, year := range []int{2004, 2032, 2060, 2088, 2128, 2156, 2184, 2224, 2252} {
		at = spec.Next(at)
		if want := time.Date(year, 2, 29, 0, 0, 0, 0, time.UTC); !at.Equal(want) {
			t.Fatalf("got %v, want %v", at, want)
		}
	}
}
