package cronspec

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// text says the pattern as a person would where the form is a common one, and
// field by field elsewhere.
func (p unix) text() string { return sentence(p.spec, p.daysText(), nil) }

func (q quartz) text() string { return sentence(q.times, q.daysText(), q.years) }

// sentence puts the parts of a text together; no days are all of them.
func sentence(spec *cron.SpecSchedule, days string, years []int) string {
	when, daily := timeText(spec)
	parts := []string{when}
	if days != "" {
		parts = append(parts, "on "+days)
	} else if daily {
		parts = append(parts, "every day")
	}
	if u := unixUnits[month]; !u.full(spec.Month) {
		parts = append(parts, "in "+enumerate(u.values(spec.Month), u.show))
	}
	if years != nil {
		parts = append(parts, "in "+enumerate(years, strconv.Itoa))
	}
	return strings.Join(parts, ", ")
}

// timeText says the time of day, and whether it names one or several.
func timeText(spec *cron.SpecSchedule) (text string, daily bool) {
	u := unixUnits
	seconds, minutes, hours := u[second].values(spec.Second), u[minute].values(spec.Minute), u[hour].values(spec.Hour)
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
	phrases := []string{u[minute].phrase(minutes), u[hour].phrase(hours)}
	if !onTheMinute {
		phrases = append([]string{u[second].phrase(seconds)}, phrases...)
	}
	return "at " + strings.Join(phrases, " of "), false
}

// daysText says which days, "" for all of them.
func (p unix) daysText() string {
	either := !starred(p.spec.Dom) && !starred(p.spec.Dow)
	var parts []string
	if either || !unixUnits[dayOfMonth].full(p.spec.Dom) {
		parts = append(parts, monthDays(p.spec.Dom))
	}
	if either || !unixUnits[dayOfWeek].full(p.spec.Dow) {
		parts = append(parts, weekDays(p.spec.Dow))
	}
	if either {
		return strings.Join(parts, " or on ")
	}
	return strings.Join(parts, " if that is ")
}

func (q quartz) daysText() string {
	var parts []string
	if !q.days.whole() {
		switch {
		case q.days.plain == 0:
		case q.days.weekly:
			parts = append(parts, weekDays(q.days.plain))
		default:
			parts = append(parts, monthDays(q.days.plain))
		}
		for _, rule := range q.days.rules {
			parts = append(parts, rule.text())
		}
	}
	return strings.Join(parts, " and on ")
}

// whole reports whether the plain items name every day.
func (d daySet) whole() bool {
	if d.weekly {
		return d.plain == 1<<7-1
	}
	return unixUnits[dayOfMonth].full(d.plain)
}

func monthDays(set uint64) string {
	days := unixUnits[dayOfMonth].values(set)
	return plural("day", len(days)) + " " + enumerate(days, strconv.Itoa) + " of the month"
}

func weekDays(set uint64) string {
	week := set&0b1111110 | (set&1)<<7 // a week ends with Sunday
	return enumerate(unixUnits[dayOfWeek].values(week), func(n int) string { return dayNames[n] })
}

// show says one value of a unit.
func (u unit) show(n int) string {
	switch u.index {
	case month:
		return time.Month(n).String()
	case dayOfWeek:
		return dayNames[n-u.min]
	}
	return strconv.Itoa(n)
}

// starred reports whether a day field was left open.
func starred(set uint64) bool { return set&starBit != 0 }

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
	if len(values) == u.size {
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
