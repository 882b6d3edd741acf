package cronspec

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// page is a month as a calendar on the wall shows it.
type page struct {
	length int          // days
	first  time.Weekday // of the 1st
}

func pageOf(y int, m time.Month) page {
	return page{time.Date(y, m+1, 0, 0, 0, 0, 0, time.UTC).Day(), time.Date(y, m, 1, 0, 0, 0, 0, time.UTC).Weekday()}
}

func (p page) weekday(day int) time.Weekday { return (p.first + time.Weekday(day) - 1) % 7 }

// dayRule names at most one day of each month.
type dayRule interface {
	day(p page) int // 0 if the month has none
	text() string
	rare() string // what some months lack, and with it the day; "" if none does
}

// fromEnd is L, L-3 and, moved to a weekday, LW and L-3W.
type fromEnd struct {
	before  int
	weekday bool
}

// nearWeekday is 15W: the day itself, or the nearest of Monday to Friday in the
// same month.
type nearWeekday struct{ of int }

// nth is FRI#2.
type nth struct {
	weekday time.Weekday
	n       int
}

// lastOf is FRIL.
type lastOf struct{ weekday time.Weekday }

func (r fromEnd) day(p page) int {
	day := max(p.length-r.before, 0)
	if r.weekday && day > 0 {
		return p.nearest(day)
	}
	return day
}

func (r nearWeekday) day(p page) int {
	if r.of > p.length {
		return 0
	}
	return p.nearest(r.of)
}

// nearest returns the weekday next to day that lies in the month.
func (p page) nearest(day int) int {
	switch p.weekday(day) {
	case time.Saturday:
		if day == 1 {
			return 3
		}
		return day - 1
	case time.Sunday:
		if day == p.length {
			return day - 2
		}
		return day + 1
	}
	return day
}

func (r nth) day(p page) int {
	day := 1 + int(r.weekday-p.first+7)%7 + 7*(r.n-1)
	if day > p.length {
		return 0
	}
	return day
}

func (r lastOf) day(p page) int {
	return p.length - int(p.weekday(p.length)-r.weekday+7)%7
}

func (r fromEnd) rare() string {
	if r.before < 28 {
		return ""
	}
	return fmt.Sprintf("a day %s before its last", days(r.before))
}

func (r nearWeekday) rare() string {
	if r.of <= 28 {
		return ""
	}
	return fmt.Sprintf("a day %d", r.of)
}

func (r nth) rare() string {
	if r.n < 5 {
		return ""
	}
	return "a fifth " + r.weekday.String()
}

func (r lastOf) rare() string { return "" }

func (r fromEnd) text() string {
	which := "the last day of the month"
	if r.before > 0 {
		which = fmt.Sprintf("the day %s before the last of the month", days(r.before))
	}
	if !r.weekday {
		return which
	}
	if r.before == 0 {
		return "the last weekday (Monday to Friday) of the month"
	}
	return "the weekday (Monday to Friday) nearest to " + which
}

func (r nearWeekday) text() string {
	return fmt.Sprintf("the weekday (Monday to Friday) nearest to day %d of the month", r.of)
}

func (r nth) text() string {
	return fmt.Sprintf("the %s %s of the month", [...]string{"first", "second", "third", "fourth", "fifth"}[r.n-1],
		r.weekday)
}

func (r lastOf) text() string { return fmt.Sprintf("the last %s of the month", r.weekday) }

func days(n int) string { return strconv.Itoa(n) + " " + plural("day", n) }

// daySet is what one of the two day fields of the quartz dialect names.
type daySet struct {
	weekly bool   // plain holds weekdays, 0 to 6
	plain  uint64 // else days of the month
	rules  []dayRule
	notes  []string
}

// readDays reads the day-of-month or the day-of-week field of the quartz dialect.
func readDays(u unit, text string, d draw) (daySet, error) {
	set := daySet{weekly: u.index == dayOfWeek}
	var plain field
	for one := range strings.SplitSeq(text, ",") {
		if rule := set.rule(u, upper(one)); rule != nil {
			set.rules = append(set.rules, rule)
			continue
		}
		item, ok := u.item(one, d)
		if set.weekly && upper(one) == "L" {
			item, ok = field{values: []int{7},
				notes: []string{
					`day-of-week "L" is Saturday, the last day of the week; the last Saturday of the month is "SATL"`}},
				true
		}
		if !ok {
			return daySet{}, u.fault(text)
		}
		plain.add(item)
	}
	set.plain, set.notes = plain.set()&^starBit, plain.notes
	if set.weekly {
		set.plain >>= 1 // Sunday is 1 there
	}
	return set, nil
}

// rule reads an item that numbers cannot say; nil if it is none.
func (d daySet) rule(u unit, item string) dayRule {
	if d.weekly {
		return weekdayRule(u, item)
	}
	end, weekday := strings.CutSuffix(item, "W")
	switch offset, fromLast := strings.CutPrefix(end, "L"); {
	case fromLast && offset == "":
		return fromEnd{weekday: weekday}
	case fromLast:
		if n, ok := number(strings.TrimPrefix(offset, "-")); ok && offset[0] == '-' && 1 <= n && n <= 30 {
			return fromEnd{before: n, weekday: weekday}
		}
	case weekday:
		if n, ok := u.value(end); ok {
			return nearWeekday{n}
		}
	}
	return nil
}

func weekdayRule(u unit, item string) dayRule {
	if name, last := strings.CutSuffix(item, "L"); last {
		if day, ok := u.value(name); ok {
			return lastOf{time.Weekday(day - 1)}
		}
	}
	name, which, numbered := strings.Cut(item, "#")
	day, known := u.value(name)
	n, ok := number(which)
	if numbered && known && ok && 1 <= n && n <= 5 {
		return nth{time.Weekday(day - 1), n}
	}
	return nil
}

// in returns the days of a month, bit n for day n.
func (d daySet) in(p page) uint64 {
	set := d.plain
	if d.weekly {
		set = 0
		for day := 1; day <= p.length; day++ {
			set |= d.plain >> p.weekday(day) & 1 << day
		}
	}
	set &= 1<<(p.length+1) - 1
	for _, rule := range d.rules {
		set |= 1 << rule.day(p)
	}
	return set &^ 1 // day 0: a rule found none
}
