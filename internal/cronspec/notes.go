package cronspec

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"github.com/firjob/firjob"
)

// unixNotes says what a reader of other programs may get wrong about the six
// fields of expr. elsewhere is whether robfig/cron's own parser would take a day
// field for open.
func unixNotes(expr string, texts []string, sets []uint64, elsewhere bool) []string {
	return slices.Concat(bothReadings(texts, sets, elsewhere), quartzReading(expr, texts, sets[dayOfWeek]),
		tooOften(texts, sets[second]))
}

// bothReadings notes where crontab and programs with robfig/cron's parser combine
// the two day fields in different ways.
func bothReadings(texts []string, sets []uint64, elsewhere bool) []string {
	here := open(texts[dayOfMonth]) || open(texts[dayOfWeek])
	all := unixUnits[dayOfMonth].full(sets[dayOfMonth]) && unixUnits[dayOfWeek].full(sets[dayOfWeek])
	fields := fmt.Sprintf("day-of-month %q and day-of-week %q", texts[dayOfMonth], texts[dayOfWeek])
	switch {
	case here == elsewhere || all:
		return nil
	case here:
		return []string{fmt.Sprintf(
			"a day must fit both %s (AND), as in crontab, because one of them begins with \"*\"; "+
				"robfig/cron and Kubernetes take a day that fits either (OR): for that, write a range in place of "+
				"\"*\", as 1-31/2 or 0-6/2", fields)}
	}
	return []string{fmt.Sprintf(
		"robfig/cron and Kubernetes take only a day that fits both %s (AND), because one of them has a \"*\"; "+
			"in crontab only a \"*\" at the beginning counts", fields)}
}

// quartzReading notes what numbers of weekdays mean to a reader of Quartz, if the
// expression looks as one of Quartz's.
func quartzReading(expr string, texts []string, weekdays uint64) []string {
	sign := "six fields suggest"
	switch {
	case strings.Contains(expr, "?"):
		sign = `"?" suggests`
	case len(strings.Fields(expr)) < len(texts):
		return nil
	}
	text := texts[dayOfWeek]
	there, err := readDays(quartzUnits[dayOfWeek], text, drawing(0, dayOfWeek))
	if err != nil || !numbersWeekdays(text) || there.whole() {
		return nil
	}
	return []string{fmt.Sprintf("day-of-week %q is %s here; in the quartz dialect, which %s, it is %s: "+
		"write the names of the days, or set \"dialect\": %q", text, weekDays(weekdays), sign, weekDays(there.plain),
		firjob.DialectQuartz)}
}

// numbersWeekdays reports whether a day-of-week field names days by their numbers.
func numbersWeekdays(text string) bool {
	for item := range strings.SplitSeq(text, ",") {
		days, _, _ := strings.Cut(item, "/")
		days, _, _ = strings.Cut(days, "#")
		if !UsesHash(item) && strings.ContainsAny(days, "01234567") {
			return true
		}
	}
	return false
}

// tooOften notes a field that is open below one that has numbers alone: "* 0 * * *"
// fires in each minute of an hour, where mostly once was meant.
func tooOften(texts []string, seconds uint64) []string {
	times := 60
	for i := second; i <= minute; i++ {
		if i == minute {
			times *= bits.OnesCount64(seconds &^ starBit)
		}
		if above := texts[i+1]; texts[i] == "*" && strings.Trim(above, "0123456789,") == "" {
			return []string{fmt.Sprintf(
				"%s \"*\" with %s %q fires %d times in each such %s: write 0 in place of \"*\" if once is meant",
				unixUnits[i].name, unixUnits[i+1].name, above, times, unixUnits[i+1].name)}
		}
	}
	return nil
}
