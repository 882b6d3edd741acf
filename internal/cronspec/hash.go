package cronspec

import (
	"fmt"
	"slices"
	"strings"
)

// Draw returns a number below n that follows from seed and salt alone: the salt-th
// number that SplitMix64 (Steele, Lea and Flood, 2014) gives from seed, modulo n.
// Numbers of neighbouring salts have nothing in common. n is at least 1.
func Draw(seed, salt, n uint64) uint64 {
	z := seed + (salt+1)*0x9E3779B97F4A7C15
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return (z ^ z>>31) % n
}

// UsesHash reports whether what expr means depends on Options.Seed.
func UsesHash(expr string) bool {
	for text := range strings.FieldsSeq(expr) {
		for one := range strings.SplitSeq(text, ",") {
			if strings.HasPrefix(upper(one), "H") {
				return true
			}
		}
	}
	return false
}

// draw returns a number below n.
type draw func(n int) int

// drawing draws for one field, so that fields differ.
func drawing(seed uint64, field int) draw {
	return func(n int) int { return int(Draw(seed, uint64(field), uint64(n))) }
}

// everFires reports whether an expression fires, given what its month field says
// and whether it would in a set of months. One item of the field must be enough,
// with an H whatever it may stand for, so that whether an expression is good does
// not depend on the job's name.
func everFires(months string, in func(set uint64) bool) bool {
	for item := range strings.SplitSeq(months, ",") {
		fires := true
		for k := range unixUnits[month].size {
			f, err := unixUnits[month].read(item, func(n int) int { return k % n })
			fires = fires && err == nil && in(f.set())
			if !fires || !UsesHash(item) {
				break
			}
		}
		if fires {
			return true
		}
	}
	return false
}

// hashed reads what follows an H: nothing, for the whole field, or a span in
// brackets. Without a step, one of those values is drawn; with a step, the one
// that it begins with. Days of the month end with the 28th, which each month has.
func (u unit) hashed(text, inner string, step int, stepped bool, d draw) (field, bool) {
	values, ok := u.from(u.min, u.last()), true
	switch {
	case inner != "":
		if !strings.HasPrefix(inner, "(") || !strings.HasSuffix(inner, ")") {
			return field{}, false
		}
		values, ok = u.span(inner[1:len(inner)-1], false)
	case u.index == dayOfMonth:
		values = u.from(1, 28)
	}
	if !ok || u.index == dayOfMonth && slices.Max(values) > 28 {
		return field{}, false
	}
	choices := len(values)
	if stepped {
		choices = min(step, choices)
	}
	first := d(choices)
	if stepped {
		values = every(values[first:], step)
	} else {
		values = values[first : first+1]
	}
	var f field
	f.add(field{values: values})
	f.notes = []string{fmt.Sprintf("%s %q stands for %s here: that follows from the job's app and name", u.name, text,
		enumerate(f.values, u.show))}
	return f, true
}
