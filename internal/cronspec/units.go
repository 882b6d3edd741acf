package cronspec

import (
	"fmt"
	"strconv"
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
)

// unit is what a field counts.
type unit struct {
	name     string
	min, max int
	names    string // that may stand for the numbers
}

var units = [...]unit{
	second:     {"second", 0, 59, ""},
	minute:     {"minute", 0, 59, ""},
	hour:       {"hour", 0, 23, ""},
	dayOfMonth: {"day-of-month", 1, 31, ""},
	month:      {"month", 1, 12, " or JAN to DEC"},
	dayOfWeek:  {"day-of-week", 0, 7, " or SUN to SAT"},
}

// dayNames counts Sunday at both ends, so that a week may begin with Monday.
var dayNames = [...]string{"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"}

// full reports whether every value of the unit is in the set.
func (u unit) full(set uint64) bool {
	all := uint64(1)<<(u.max+1) - uint64(1)<<u.min
	return set&all == all
}

// values lists a set of robfig/cron, where bit n stands for n.
func (u unit) values(set uint64) []int {
	var list []int
	for n := u.min; n <= u.max; n++ {
		if set&(1<<n) != 0 {
			list = append(list, n)
		}
	}
	return list
}

func fieldError(i int, field string) error {
	if !wellFormed(field) && strings.ContainsAny(field, "LW#") {
		return fmt.Errorf("%s %q: L, W and # are not of the unix dialect; list the days instead", units[i].name, field)
	}
	u := units[i]
	return fmt.Errorf("%s %q is not understood; want %d to %d%s: one, a rising range as 1-5, a step as */2, or a list as 1,3",
		u.name, field, u.min, u.max, u.names)
}

// idleSteps names the steps that are longer than their field, as */90 minutes.
func idleSteps(fields []string) []string {
	var idle []string
	for i, field := range fields {
		for one := range strings.SplitSeq(field, ",") {
			_, text, _ := strings.Cut(one, "/")
			if step, err := strconv.Atoi(text); err == nil && step > units[i].max-units[i].min {
				idle = append(idle, fmt.Sprintf("the step of %s %q is longer than the field: only its first value counts", units[i].name, one))
			}
		}
	}
	return idle
}
