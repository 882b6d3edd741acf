package cronspec

import (
	"fmt"
	"strings"

	"github.com/firjob/firjob/internal/tzdata"
)

// unknownZone is the error for a name that the database lacks. It names the zone
// that was probably meant, if there is exactly one.
func unknownZone(name string) error {
	if near := nearZone(name); near != "" {
		return fmt.Errorf("%q is not a known time zone; did you mean %q?", name, near)
	}
	return fmt.Errorf("%q is not a known time zone; want an IANA name such as \"Asia/Shanghai\" or \"UTC\"", name)
}

// maxZoneName bounds the names for which a suggestion is looked for, in bytes.
// The longest name of the database has 32.
const maxZoneName = 64

// nearZone returns the zone whose name differs from name in case and separators
// alone, or the only zone with that city, or the only one that is one or two
// letters away; "" if there is none. For a name with a digit, as "GMT+8", the
// latter two do not count: "Etc/GMT+8" lies west of Greenwich, and another digit
// is another offset.
func nearZone(name string) string {
	if len(name) > maxZoneName {
		return ""
	}
	name = strings.TrimPrefix(strings.TrimPrefix(plainZone(name), "right/"), "posix/")
	same := func(zone string) bool { return zone == name }
	city := func(zone string) bool { return zone[strings.LastIndexByte(zone, '/')+1:] == name }
	rules := []func(zone string) bool{same}
	if !strings.ContainsAny(name, "0123456789") {
		rules = append(rules, city)
		for far := 1; far <= 2 && len(name) > 5; far++ {
			rules = append(rules, func(zone string) bool { return distance(zone, name) <= far })
		}
	}
	for _, rule := range rules {
		if zone := onlyZone(rule); zone != "" {
			return zone
		}
	}
	return ""
}

// onlyZone returns the name of the only zone whose plain name fits, "" if none or
// several do.
func onlyZone(fits func(plain string) bool) string {
	only := ""
	for _, zone := range tzdata.Names() {
		if !fits(plainZone(zone)) {
			continue
		}
		if only != "" {
			return ""
		}
		only = zone
	}
	return only
}

// plainZone is a name without what people write in different ways.
func plainZone(name string) string {
	return strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToLower(strings.TrimSpace(name)))
}

// distance returns how many letters must be put in, taken out or replaced to get
// from a to b (Levenshtein's distance).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
