package cronspec

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// starBit is how robfig/cron marks a day field that was left open. If neither is,
// a day that one of them names is enough; else a day must be in both.
const starBit = 1 << 63

// field is what a field of plain items names.
type field struct {
	values []int // ascending, each once
	star   bool  // it was left open
	notes  []string
}

// set returns the values as bits, as robfig/cron wants them.
func (f field) set() uint64 {
	var set uint64
	for _, v := range f.values {
		set |= 1 << v
	}
	if f.star {
		set |= starBit
	}
	return set
}

// add takes over what another item names.
func (f *field) add(o field) {
	f.values = append(f.values, o.values...)
	slices.Sort(f.values)
	f.values = slices.Compact(f.values)
	f.star = f.star || o.star
	f.notes = append(f.notes, o.notes...)
}

// read reads a list of plain items.
func (u unit) read(text string, d draw) (field, error) {
	var f field
	for one := range strings.SplitSeq(text, ",") {
		item, ok := u.item(one, d)
		if !ok {
			return field{}, u.fault(text)
		}
		f.add(item)
	}
	return f, nil
}

// item reads what may stand between commas: a span and maybe a step,
//
//   - ?  5  MON  MONDAY  1-5  FRI-MON  H  H(0-29)    each also with  /10
//
// In the quartz dialect a step may also stand alone. A span that falls goes on past the last number, 22-2 being 22, 23,
// 0, 1, 2.
func (u unit) item(text string, d draw) (field, bool) {
	span, stepText, stepped := strings.Cut(upper(text), "/")
	step := 1
	if stepped {
		n, ok := number(stepText)
		if !ok || n == 0 {
			return field{}, false
		}
		step = n
	}
	if span == "" && stepped && u.bareStep {
		span = "*"
	}
	if inner, hashed := strings.CutPrefix(span, "H"); hashed && u.index != year {
		return u.hashed(text, inner, step, stepped, d)
	}
	values, ok := u.span(span, stepped)
	if !ok {
		return field{}, false
	}
	f := field{star: (span == "*" || span == "?") && step == 1}
	if step > 1 && step >= len(values) {
		f.notes = append(f.notes,
			fmt.Sprintf("the step of %s %q is longer than its range: only the first value counts", u.name, text))
	}
	f.values = every(values, step)
	return f, true
}

// span lists what stands before a step, in the order in which it comes round.
func (u unit) span(text string, stepped bool) ([]int, bool) {
	if text == "*" || text == "?" {
		return u.from(u.min, u.last()), true
	}
	lowText, highText, ranged := strings.Cut(text, "-")
	low, ok := u.value(lowText)
	high := low
	switch {
	case !ok:
		return nil, false
	case ranged:
		if high, ok = u.value(highText); !ok {
			return nil, false
		}
	case stepped: // 5/10 begins at 5; on weekdays of crontab it goes on to 7, which is Sunday
		high = u.max
	}
	if high < low && u.index == year {
		return nil, false
	}
	return u.from(low, high), true
}

// from counts from low to high, past the last number if need be.
func (u unit) from(low, high int) []int {
	if high < low {
		high += u.size
	}
	list := make([]int, 0, high-low+1)
	for v := low; v <= high; v++ {
		list = append(list, u.min+(v-u.min)%u.size)
	}
	return list
}

// value reads a number or a word.
func (u unit) value(text string) (int, bool) {
	for _, words := range [][]string{u.words, u.names} {
		if i := slices.Index(words, text); i >= 0 {
			return u.min + i, true
		}
	}
	n, ok := number(text)
	return n, ok && u.min <= n && n <= u.max
}

// number reads up to four digits, without a sign.
func number(text string) (int, bool) {
	if len(text) > 4 {
		return 0, false
	}
	n, err := strconv.ParseUint(text, 10, 16)
	return int(n), err == nil
}

// every returns the first of list and each step-th after it.
func every(list []int, step int) []int {
	var some []int
	for i := 0; i < len(list); i += step {
		some = append(some, list[i])
	}
	return some
}
