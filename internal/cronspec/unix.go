package cronspec

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/firjob/firjob"
)

// maxExpr bounds an expression, in bytes. A list of every second, minute and
// hour is shorter.
const maxExpr = 1000

// unix is a pattern of the unix dialect: five fields, or six with the seconds
// first. robfig/cron finds the matches. It does not read the fields: its parser
// accepts "*-5", knows neither 7 for Sunday nor 22-2, and has panicked on what
// users wrote.
type unix struct {
	spec  *cron.SpecSchedule // asked in UTC only, where the clock never jumps
	notes []string           // for warnings
}

func parseUnix(expr string, seed uint64) (unix, error) {
	texts, err := unixFields(expr)
	if err != nil {
		return unix{}, err
	}
	var sets [len(unixUnits)]uint64
	var p unix
	var days bool // a day field is open as robfig/cron's own parser sees it
	for i, u := range unixUnits {
		f, err := u.read(texts[i], drawing(seed, i))
		if err != nil {
			return unix{}, hintQuartz(i, texts[i], err)
		}
		days = days || f.star && (i == dayOfMonth || i == dayOfWeek)
		f.star = open(texts[i])
		sets[i] = f.set()
		p.notes = append(p.notes, f.notes...)
	}
	p.notes = append(p.notes, unixNotes(expr, texts, sets[:], days)...)
	p.spec = &cron.SpecSchedule{Second: sets[second], Minute: sets[minute], Hour: sets[hour],
		Dom: sets[dayOfMonth], Month: sets[month], Dow: sets[dayOfWeek], Location: time.UTC}
	start := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	if !everFires(texts[month], func(months uint64) bool { return !p.with(months).next(start).IsZero() }) {
		return unix{}, neverFires(expr, texts[month])
	}
	return p, nil
}

// open reports whether a day field counts as open in crontab: it begins with a
// star, whatever follows. cron(8) of Vixie and of cronie looks at that character
// alone.
func open(text string) bool { return text[0] == '*' || text[0] == '?' }

// with returns p in other months.
func (p unix) with(months uint64) unix {
	spec := *p.spec
	spec.Month = months
	p.spec = &spec
	return p
}

// neverFires is the error of an expression without a match.
func neverFires(expr, months string) error {
	if UsesHash(months) {
		return fmt.Errorf("%q may never fire: a month that %q may stand for has no such day", expr, months)
	}
	return fmt.Errorf("%q never fires: no month that it names has such a day", expr)
}

// trim returns expr without the space around it, unless it is nothing that any
// dialect could read.
func trim(expr string) (string, error) {
	expr = strings.TrimSpace(expr)
	switch word, _, _ := strings.Cut(expr, " "); {
	case expr == "":
		return "", errors.New("the expression is empty; want 5 or 6 fields such as \"30 2 * * *\"")
	case len(expr) > maxExpr:
		return "", fmt.Errorf("the expression is %d bytes long; want at most %d", len(expr), maxExpr)
	case strings.HasPrefix(expr, "TZ="), strings.HasPrefix(expr, "CRON_TZ="):
		return "", fmt.Errorf("%q does not belong to the expression: put the zone into \"timezone\"", word)
	case word == "@every":
		return "", errors.New(
			"\"@every\" has no instant to count from: use a schedule of kind \"every\" with an \"interval\"")
	case word == "@reboot":
		return "", errors.New("\"@reboot\" has no meaning on a cluster: trigger a job of kind \"manual\" instead")
	}
	return expr, nil
}

// unixFields returns the six fields of an expression or a descriptor.
func unixFields(expr string) ([]string, error) {
	if expr[0] == '@' {
		return descriptor(expr)
	}
	fields := strings.Fields(expr)
	switch len(fields) {
	case 5:
		return append([]string{"0"}, fields...), nil
	case 6:
		return fields, nil
	}
	return nil, fmt.Errorf("%q has %d fields; want 5 (minute hour day-of-month month day-of-week), or 6 with the "+
		"second first; a year needs \"dialect\": %q",
		expr, len(fields), firjob.DialectQuartz)
}

func descriptor(word string) ([]string, error) {
	switch word {
	case "@hourly":
		return []string{"0", "0", "*", "*", "*", "*"}, nil
	case "@daily", "@midnight":
		return []string{"0", "0", "0", "*", "*", "*"}, nil
	case "@weekly":
		return []string{"0", "0", "0", "*", "*", "0"}, nil
	case "@monthly":
		return []string{"0", "0", "0", "1", "*", "*"}, nil
	case "@yearly", "@annually":
		return []string{"0", "0", "0", "1", "1", "*"}, nil
	}
	return nil, fmt.Errorf("%q is not known; want @hourly, @daily, @midnight, @weekly, @monthly, @yearly or @annually",
		word)
}

// hintQuartz names the dialect that knows a day field which this one does not.
func hintQuartz(i int, text string, err error) error {
	u := quartzUnits[i]
	if i != dayOfMonth && i != dayOfWeek {
		return err
	}
	if _, quartzErr := readDays(u, text, drawing(0, i)); quartzErr != nil {
		return err
	}
	return fmt.Errorf("%s %q: L, W and # need \"dialect\": %q, or list the days", u.name, text, firjob.DialectQuartz)
}

// rareYears is longer than any pause of an expression that fires at all: 29
// February is the same weekday after 28 years, or after 40 around a year such as
// 2100, which is no leap year.
const rareYears = 41

// next looks further than robfig/cron, which gives up after five years.
func (p unix) next(wall time.Time) time.Time {
	t := p.spec.Next(wall)
	for y := wall.Year() + 6; t.IsZero() && y <= wall.Year()+rareYears; y += 6 {
		t = p.spec.Next(time.Date(y, 1, 1, 0, 0, 0, -1, time.UTC))
	}
	return t
}

func (p unix) everyHour() bool { return unixUnits[hour].full(p.spec.Hour) }

func (p unix) warnings() []string {
	list := slices.Clone(p.notes)
	switch dom, dow := starred(p.spec.Dom), starred(p.spec.Dow); {
	case !dom && !dow:
		list = append(list, "day-of-month and day-of-week are both given: a day that fits either one is enough (OR)")
	case !dom:
		list = append(list, shortMonths(p.spec.Dom, p.spec.Month)...)
	}
	return list
}

// shortMonths warns of days that none of the days of a set makes up for in the
// shortest of the months of another.
func shortMonths(days, months uint64) []string {
	if first := bits.TrailingZeros64(days); first > shortest(months) {
		return []string{fmt.Sprintf("not every month has a day %d: those without it are left out", first)}
	}
	return nil
}

// shortest returns the days of the shortest of the months in a set, in a year
// without 29 February.
func shortest(months uint64) int {
	days := 31
	for months &= 1<<13 - 1; months != 0; months &= months - 1 {
		m := time.Month(bits.TrailingZeros64(months))
		days = min(days, time.Date(2001, m+1, 0, 0, 0, 0, 0, time.UTC).Day())
	}
	return days
}
