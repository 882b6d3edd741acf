package cronspec

import (
	"fmt"
	"strings"
)

// The fields of an expression, in their order.
const (
	second = iota
	minute
	hour
	dayOfMonth
	month
	dayOfWeek
	year
)

// unit is what a field counts.
type unit struct {
	index    int // of the field
	name     string
	min, max int      // the numbers that may be written
	size     int      // how many there are before they come round again; 7 is Sunday once more
	words    []string // that may stand for the numbers, from min on
	names    []string // the same, written out
	more     string   // forms of this field alone, for messages
	bareStep bool     // a step may stand alone: "/3" is "*/3"
}

var (
	monthWords = []string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}
	dayWords   = []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}

	monthNames = []string{"JANUARY", "FEBRUARY", "MARCH", "APRIL", "MAY", "JUNE", "JULY", "AUGUST", "SEPTEMBER",
		"OCTOBER",
		"NOVEMBER", "DECEMBER"}
	weekdayNames = []string{"SUNDAY", "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY"}
)

// dayNames counts Sunday at both ends, so that a week may begin with Monday.
var dayNames = [...]string{"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"}

// unixUnits are the fields of the unix dialect, whose week begins with Sunday
// at 0.
var unixUnits = [...]unit{
	second:     {index: second, name: "second", max: 59, size: 60},
	minute:     {index: minute, name: "minute", max: 59, size: 60},
	hour:       {index: hour, name: "hour", max: 23, size: 24},
	dayOfMonth: {index: dayOfMonth, name: "day-of-month", min: 1, max: 31, size: 31},
	month:      {index: month, name: "month", min: 1, max: 12, size: 12, words: monthWords, names: monthNames},
	dayOfWeek:  {index: dayOfWeek, name: "day-of-week", max: 7, size: 7, words: dayWords, names: weekdayNames},
}

// quartzUnits are those of the quartz dialect, whose week begins with Sunday
// at 1.
var quartzUnits = [...]unit{
	second: unixUnits[second].withBareStep(),
	minute: unixUnits[minute].withBareStep(),
	hour:   unixUnits[hour].withBareStep(),
	dayOfMonth: {index: dayOfMonth, name: "day-of-month", min: 1, max: 31, size: 31, bareStep: true,
		more: "; or L, L-3, LW, 15W or ?"},
	month: unixUnits[month].withBareStep(),
	dayOfWeek: {index: dayOfWeek, name: "day-of-week", min: 1, max: 7, size: 7, words: dayWords, names: weekdayNames,
		bareStep: true,
		more:     "; or FRIL for the last Friday, FRI#2 for the second, or ?"},
	year: {index: year, name: "year", min: 1970, max: 2199, size: 230, bareStep: true},
}

func (u unit) withBareStep() unit {
	u.bareStep = true
	return u
}

// last is the highest number before they come round.
func (u unit) last() int { return u.min + u.size - 1 }

// full reports whether every value of the unit is in the set.
func (u unit) full(set uint64) bool {
	all := uint64(1)<<(u.last()+1) - uint64(1)<<u.min
	return set&all == all
}

// values lists a set, where bit n stands for n.
func (u unit) values(set uint64) []int {
	var list []int
	for n := u.min; n <= u.max; n++ {
		if set&(1<<n) != 0 {
			list = append(list, n)
		}
	}
	return list
}

// fault says what may stand in a field.
func (u unit) fault(field string) error {
	names := ""
	if n := len(u.words); n > 0 {
		names = " or " + u.words[0] + " to " + u.words[n-1]
	}
	hash := ", or H"
	if u.index == year {
		hash = ""
	}
	return fmt.Errorf("%s %q is not understood; want %d to %d%s: one, a range as 1-5, a step as */2, a list as 1,3%s%s",
		u.name, field, u.min, u.max, names, hash, u.more)
}

// upper folds ASCII only: no other letter is a word of a field.
func upper(text string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' {
			return r - 'a' + 'A'
		}
		return r
	}, text)
}
