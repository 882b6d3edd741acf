package cronspec

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// maxExpr bounds an expression, in bytes. A list of every second, minute and
// hour is shorter.
const maxExpr = 1000

// unix is a pattern of the unix dialect: five fields, or six with the seconds
// first. robfig/cron reads the fields and finds the matches; what it leaves
// unsaid, accepts by mistake or does not know (7 for Sunday) is settled here.
type unix struct {
	spec *cron.SpecSchedule // asked in UTC only, where the clock never jumps
	idle []string           // steps that reach nothing, for warnings
}

func parseUnix(expr string) (unix, error) {
	fields, err := splitFields(strings.TrimSpace(expr))
	if err != nil {
		return unix{}, err
	}
	for i, field := range fields {
		if !wellFormed(field) {
			return unix{}, fieldError(i, field)
		}
	}
	p := unix{idle: idleSteps(fields)}
	fields[dayOfWeek] = foldSunday(fields[dayOfWeek])
	if p.spec, err = compile(fields); err != nil {
		return unix{}, blame(fields, err)
	}
	if p.next(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return unix{}, fmt.Errorf("%q never fires: no month that it names has such a day", expr)
	}
	return p, nil
}

// splitFields returns the six fields of an expression or a descriptor.
func splitFields(expr string) ([]string, error) {
	switch word, _, _ := strings.Cut(expr, " "); {
	case expr == "":
		return nil, errors.New("the expression is empty; want 5 or 6 fields such as \"30 2 * * *\"")
	case len(expr) > maxExpr:
		return nil, fmt.Errorf("the expression is %d bytes long; want at most %d", len(expr), maxExpr)
	case strings.HasPrefix(expr, "TZ="), strings.HasPrefix(expr, "CRON_TZ="):
		return nil, fmt.Errorf("%q does not belong to the expression: put the zone into \"timezone\"", word)
	case word == "@every":
		return nil, errors.New("\"@every\" has no instant to count from: use a schedule of kind \"every\" with an \"interval\"")
	case word == "@reboot":
		return nil, errors.New("\"@reboot\" has no meaning on a cluster: trigger a job of kind \"manual\" instead")
	case expr[0] == '@':
		return descriptor(expr)
	}
	fields := strings.Fields(expr)
	switch len(fields) {
	case 5:
		return append([]string{"0"}, fields...), nil
	case 6:
		return fields, nil
	}
	return nil, fmt.Errorf("%q has %d fields; want 5 (minute hour day-of-month month day-of-week), or 6 with the second first",
		expr, len(fields))
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
	return nil, fmt.Errorf("%q is not known; want @hourly, @daily, @midnight, @weekly, @monthly, @yearly or @annually", word)
}

// item is what may stand between the commas of a field. robfig/cron accepts
// more, such as "*-5", and ignores part of it.
var item = regexp.MustCompile(`^([*?]|[0-9]{1,2}(-[0-9]{1,2})?|[A-Za-z]{3}(-[A-Za-z]{3})?)(/[0-9]{1,4})?$`)

func wellFormed(field string) bool {
	for one := range strings.SplitSeq(field, ",") {
		if !item.MatchString(one) {
			return false
		}
	}
	return true
}

// foldSunday writes the day-of-week field without 7, which many a crontab uses
// for Sunday and robfig/cron refuses.
func foldSunday(field string) string {
	items := strings.Split(field, ",")
	for i, one := range items {
		span, stepText, stepped := strings.Cut(one, "/")
		low, high, ranged := strings.Cut(span, "-")
		if !ranged {
			high = low
		}
		first, last, step := weekday(low), weekday(high), 1
		if last == 0 && first > 0 {
			last = 7 // a range up to SUN
		}
		if stepped {
			step, _ = strconv.Atoi(stepText)
		}
		if last != 7 || first < 0 || step < 1 {
			continue
		}
		var days []string
		for day := first; day <= 7; day += step {
			days = append(days, strconv.Itoa(day%7))
		}
		items[i] = strings.Join(days, ",")
	}
	return strings.Join(items, ",")
}

// weekday reads a day's number 0–7 or its name; −1 if it is neither.
func weekday(text string) int {
	if n, err := strconv.Atoi(text); err == nil && n <= 7 {
		return n
	}
	return slices.IndexFunc(dayNames[:7], func(name string) bool { return strings.EqualFold(name[:3], text) })
}

// compile hands the fields to robfig/cron, whose parser has panicked on user
// input before.
func compile(fields []string) (spec *cron.SpecSchedule, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the cron parser panicked: %v", r)
		}
	}()
	parser := cron.NewParser(cron.Second | cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)
	schedule, err := parser.Parse(strings.Join(fields, " "))
	if err != nil {
		return nil, err
	}
	spec, ok := schedule.(*cron.SpecSchedule)
	if !ok {
		return nil, fmt.Errorf("the cron parser returned a %T", schedule)
	}
	spec.Location = time.UTC
	return spec, nil
}

// blame finds the field that compile could not read.
func blame(fields []string, err error) error {
	for i := range fields {
		alone := []string{"*", "*", "*", "*", "*", "*"}
		alone[i] = fields[i]
		if _, err := compile(alone); err != nil {
			return fieldError(i, fields[i])
		}
	}
	return err
}

// next looks further than robfig/cron, which gives up after five years: from
// 2096 the next 29 February is eight years away.
func (p unix) next(wall time.Time) time.Time {
	if t := p.spec.Next(wall); !t.IsZero() {
		return t
	}
	return p.spec.Next(time.Date(wall.Year()+6, 1, 1, 0, 0, 0, -1, time.UTC))
}

func (p unix) everyHour() bool { return units[hour].full(p.spec.Hour) }
