package cronspec

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// text says the pattern as a person would where the form is a common one, and
// field by field elsewhere.
func (p unix) text() string {
	when, daily := p.timeText()
	parts := []string{when}
	if days := p.daysText(); days != "" {
		parts = append(parts, days)
	} else if daily {
		parts = append(parts, "every day")
	}
	if u := units[month]; !u.full(p.spec.Month) {
		parts = append(parts, "in "+enumerate(u.values(p.spec.Month), func(n int) string { return time.Month(n).String() }))
	}
	return strings.Join(parts, ", ")
}

// timeText says the time of day, and whether it names one or several.
func (p unix) timeText() (text string, daily bool) {
	seconds, minutes, hours := units[second].values(p.spec.Second), units[minute].values(p.spec.Minute), units[hour].values(p.spec.Hour)
	onTheMinute := len(seconds) == 1 && seconds[0] == 0
	onTheHour := onTheMinute && len(minutes) == 1 && minutes[0] == 0
	eachSecond, eachMinute, eachHour := cycle(seconds, 60), cycle(minutes, 60), cycle(hours, 24)
	switch {
	case eachSecond > 0 && eachMinute == 1 && eachHour == 1:
		return "every " + count(eachSecond, "second"), false
	case onTheMinute && eachMinute > 0 && eachHour == 1:
		return "every " + count(eachMinute, "minute"), false
	case onTheHour && eachHour > 0:
		return "every " + count(eachHour, "hour"), false
	case len(seconds) == 1 && len(minutes) == 1 && len(hours) <= 4:
		return "at " + enumerate(hours, func(h int) string { return clock(h, minutes[0], seconds[0]) }), true
	}
	phrases := []string{units[minute].phrase(minutes), units[hour].phrase(hours)}
	if !onTheMinute {
		phrases = append([]string{units[second].phrase(seconds)}, phrases...)
	}
	return "at " + strings.Join(phrases, " of "), false
}

// daysText says which days, "" for all of them.
func (p unix) daysText() string {
	var either []string
	if !starred(p.spec.Dom) {
		days := units[dayOfMonth].values(p.spec.Dom)
		either = append(either, plural("day", len(days))+" "+enumerate(days, strconv.Itoa)+" of the month")
	}
	if !starred(p.spec.Dow) {
		week := p.spec.Dow&0b1111110 | (p.spec.Dow&1)<<7 // a week ends with Sunday
		either = append(either, enumerate(units[dayOfWeek].values(week), func(n int) string { return dayNames[n] }))
	}
	if len(either) == 0 {
		return ""
	}
	return "on " + strings.Join(either, " or on ")
}

// starred reports whether a field was left open. Where both day fields are not,
// robfig/cron takes a day that either of them names.
func starred(set uint64) bool { return set>>63 == 1 }

// cycle returns n if values are 0, n, 2n … up to size, and 0 if they are not.
func cycle(values []int, size int) int {
	n := size / max(len(values), 1)
	if len(values) < 2 || n*len(values) != size {
		return 0
	}
	for i, v := range values {
		if v != i*n {
			return 0
		}
	}
	return n
}

func (u unit) phrase(values []int) string {
	if len(values) == u.max-u.min+1 {
		return "every " + u.name
	}
	return plural(u.name, len(values)) + " " + enumerate(values, strconv.Itoa)
}

func plural(noun string, n int) string {
	if n == 1 {
		return noun
	}
	return noun + "s"
}

func count(n int, noun string) string {
	if n == 1 {
		return noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func clock(h, m, s int) string {
	if s == 0 {
		return fmt.Sprintf("%02d:%02d", h, m)
	}
	return fmt.Sprintf("%02d:%02d:%02d", h, m, s)
}

// enumerate lists ascending values: "1, 3 and 9 to 17", or "0 to 56 in steps
// of 7".
func enumerate(values []int, name func(int) string) string {
	first, last := name(values[0]), name(values[len(values)-1])
	if step := evenStep(values); step > 1 {
		return fmt.Sprintf("%s to %s in steps of %d", first, last, step)
	}
	var parts []string
	for i := 0; i < len(values); {
		end := i
		for end+1 < len(values) && values[end+1] == values[end]+1 {
			end++
		}
		if end < i+2 {
			end = i
			parts = append(parts, name(values[i]))
		} else {
			parts = append(parts, name(values[i])+" to "+name(values[end]))
		}
		i = end + 1
	}
	if n := len(parts); n > 1 {
		return strings.Join(parts[:n-1], ", ") + " and " + parts[n-1]
	}
	return parts[0]
}

// evenStep returns the distance of four values or more that have only one, and
// 0 for others.
func evenStep(values []int) int {
	if len(values) < 4 {
		return 0
	}
	step := values[1] - values[0]
	for i := range values[1:] {
		if values[i+1]-values[i] != step {
			return 0
		}
	}
	return step
}
