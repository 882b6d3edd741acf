package cronspec_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/cronspec"
)

// drawn is an expression in both dialects, and what it means.
type drawn struct {
	unix, quartz string // "" where the dialect cannot say it
	meaning
}

// anyDrawn draws an expression that names few enough fires to walk by.
func anyDrawn(t *rapid.T) drawn {
	seconds := drawList(t, "second", 0, 59, 2)
	minutes := drawList(t, "minute", 0, 59, 4)
	hours := drawSpan(t, "hour", 0, 23)
	months := drawSpan(t, "month", 1, 12)
	days := drawDays(t)
	in := func(list []int, n int) bool { return slices.Contains(list, n) }
	d := drawn{meaning: meaning{
		fixed:   len(hours.values) < 24,
		seconds: func(time.Time) []int { return seconds },
		matches: func(wall time.Time) bool {
			return in(minutes, wall.Minute()) && in(hours.values, wall.Hour()) && in(months.values, int(wall.Month())) && days.matches(wall)
		},
	}}
	times := strings.Join([]string{texts(seconds), texts(minutes), hours.text}, " ") + " "
	if days.quartz[0] != "" {
		d.quartz = times + days.quartz[0] + " " + months.text + " " + days.quartz[1]
	}
	if days.unix[0] != "" {
		d.unix = times + days.unix[0] + " " + months.text + " " + days.unix[1]
	}
	return d
}

func texts(list []int) string {
	words := make([]string, len(list))
	for i, n := range list {
		words[i] = strconv.Itoa(n)
	}
	return strings.Join(words, ",")
}

// drawList draws up to n ascending numbers.
func drawList(t *rapid.T, label string, low, high, n int) []int {
	list := rapid.SliceOfNDistinct(rapid.IntRange(low, high), 1, n, rapid.ID).Draw(t, label)
	slices.Sort(list)
	return list
}

// numbers are the values that a field names.
type numbers struct {
	text   string
	values []int
}

// drawSpan draws a field that is open, or a range that may go round, with a
// step now and then.
func drawSpan(t *rapid.T, label string, low, high int) numbers {
	from, to := rapid.IntRange(low, high).Draw(t, label), rapid.IntRange(low, high).Draw(t, label+" to")
	text := strconv.Itoa(from) + "-" + strconv.Itoa(to)
	if rapid.Bool().Draw(t, label+" open") {
		text, from, to = "*", low, high
	}
	step := rapid.SampledFrom([]int{1, 1, 2, 5}).Draw(t, label+" step")
	if step > 1 {
		text += "/" + strconv.Itoa(step)
	}
	n := numbers{text: text}
	for v, i := from, 0; ; i++ {
		if i%step == 0 {
			n.values = append(n.values, v)
		}
		if v == to {
			return n
		}
		if v++; v > high {
			v = low
		}
	}
}

// dayFields are the day-of-month and the day-of-week field in either dialect.
type dayFields struct {
	unix, quartz [2]string
	matches      func(wall time.Time) bool
}

func drawDays(t *rapid.T) dayFields {
	switch rapid.SampledFrom([]string{"all", "all", "month", "week", "either", "last", "near", "nth", "last of"}).Draw(t, "days") {
	case "month":
		days := drawSpan(t, "day", 1, 31)
		if slices.Min(days.values) > 28 { // with February alone it would never fire
			return drawWeek(t)
		}
		return dayFields{[2]string{days.text, "*"}, [2]string{days.text, "?"},
			func(wall time.Time) bool { return slices.Contains(days.values, wall.Day()) }}
	case "week":
		return drawWeek(t)
	case "either":
		day, week := rapid.IntRange(1, 28).Draw(t, "day"), rapid.IntRange(0, 6).Draw(t, "weekday")
		return dayFields{unix: [2]string{strconv.Itoa(day), strconv.Itoa(week)},
			matches: func(wall time.Time) bool { return wall.Day() == day || int(wall.Weekday()) == week }}
	case "last":
		before := rapid.IntRange(0, 5).Draw(t, "before")
		text := "L-" + strconv.Itoa(before)
		if before == 0 {
			text = "L"
		}
		return dayFields{quartz: [2]string{text, "?"}, matches: func(wall time.Time) bool { return left(wall) == before }}
	case "near":
		day := rapid.IntRange(1, 28).Draw(t, "day")
		return dayFields{quartz: [2]string{strconv.Itoa(day) + "W", "?"},
			matches: func(wall time.Time) bool { return nearest(wall, day) == wall.Day() }}
	case "nth":
		week, n := rapid.IntRange(0, 6).Draw(t, "weekday"), rapid.IntRange(1, 4).Draw(t, "n")
		return dayFields{quartz: [2]string{"?", strconv.Itoa(week+1) + "#" + strconv.Itoa(n)},
			matches: func(wall time.Time) bool { return int(wall.Weekday()) == week && (wall.Day()-1)/7 == n-1 }}
	case "last of":
		week := rapid.IntRange(0, 6).Draw(t, "weekday")
		return dayFields{quartz: [2]string{"?", strconv.Itoa(week+1) + "L"},
			matches: func(wall time.Time) bool { return int(wall.Weekday()) == week && left(wall) < 7 }}
	}
	return dayFields{[2]string{"*", "*"}, [2]string{"*", "?"}, func(time.Time) bool { return true }}
}

func drawWeek(t *rapid.T) dayFields {
	days := drawSpan(t, "weekday", 0, 6)
	quartz := make([]int, len(days.values))
	for i, day := range days.values {
		quartz[i] = day + 1
	}
	return dayFields{[2]string{"*", days.text}, [2]string{"?", texts(quartz)},
		func(wall time.Time) bool { return slices.Contains(days.values, int(wall.Weekday())) }}
}

// left counts the days that the month still has after wall's.
func left(wall time.Time) int {
	n := 0
	for day := wall.AddDate(0, 0, 1); day.Month() == wall.Month(); day = day.AddDate(0, 0, 1) {
		n++
	}
	return n
}

// nearest looks for Monday to Friday on both sides of a day, in wall's month.
func nearest(wall time.Time, day int) int {
	of := time.Date(wall.Year(), wall.Month(), day, 0, 0, 0, 0, time.UTC)
	for _, step := range []int{0, -1, 1, -2, 2} {
		if try := of.AddDate(0, 0, step); try.Month() == wall.Month() && try.Weekday()%6 != 0 {
			return try.Day()
		}
	}
	return 0
}

// A thousand expressions and more of both dialects agree with the walker, each around
// one of the changes of the clocks that six zones saw in ten years.
func TestBothDialectsAgreeWithAWalker(t *testing.T) {
	t.Parallel()
	type place struct {
		zone  string
		clock []shown
	}
	var places []place
	for _, zone := range []string{"America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "America/Sao_Paulo", "Asia/Tehran", "Africa/Casablanca"} {
		loc, err := cronspec.Zone(zone)
		if err != nil {
			t.Fatal(err)
		}
		for _, clock := range changes(loc, 2014, 2024) {
			places = append(places, place{zone, clock})
		}
	}
	if len(places) < 90 {
		t.Fatalf("found %d changes of the clocks", len(places))
	}
	rapid.Check(t, func(t *rapid.T) {
		for range 12 {
			at := rapid.SampledFrom(places).Draw(t, "change")
			d := anyDrawn(t)
			o := cronspec.Options{Timezone: at.zone,
				Gap:         rapid.SampledFrom([]firjob.Gap{firjob.GapRunAfter, firjob.GapSkip}).Draw(t, "gap"),
				OverlapHour: rapid.SampledFrom([]firjob.OverlapHour{firjob.OverlapOnce, firjob.OverlapTwice}).Draw(t, "overlap"),
			}
			if d.unix != "" {
				agree(t, d.unix, d.meaning, o, at.clock)
			}
			if o.Dialect = firjob.DialectQuartz; d.quartz != "" {
				agree(t, d.quartz, d.meaning, o, at.clock)
			}
		}
	})
}
