package validate

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/cronspec"
	"github.com/firjob/firjob/internal/timetable"
)

// Limits of a calendar.
const (
	MaxCalendarDates = 1000 // ranges
	MaxCalendarHours = 24   // ranges
	MaxDescription   = 1000 // bytes
)

// calendarName has the characters of an app's name: it is part of a path.
var calendarName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*$`)

func (f *faults) calendarName(field, name string) {
	if len(name) > firjob.MaxName || !calendarName.MatchString(name) {
		f.add(field, name, "must have 1 to %d characters of a-z, 0-9, \".\", \"_\" and \"-\", the first a letter "+
			"or a digit", firjob.MaxName)
	}
}

// Calendar returns every fault of c, each path from the calendar on
// ("dates[0].from"), and nil if there is none. A calendar that permits nothing
// in any twenty years is a fault of "mode".
func Calendar(c firjob.Calendar) []firjob.FieldError {
	var f faults
	f.calendarName("name", c.Name)
	f.description("description", c.Description)
	oneOf(&f, "mode", c.Mode, firjob.CalendarExclude, firjob.CalendarInclude)
	if _, err := cronspec.Zone(c.Timezone); err != nil {
		f.add("timezone", c.Timezone, "%v", err)
	}
	f.dates(c.Dates)
	f.weekdays(c.Weekdays)
	f.hours(c.Hours)
	if len(f) == 0 && !timetable.PermitsAny(c) {
		f.add("mode", string(c.Mode),
			"permits nothing at all: there is no instant that the dates, weekdays and hours leave")
	}
	return f
}

func (f *faults) description(field, text string) {
	switch {
	case len(text) > MaxDescription:
		f.add(field, nil, "has %d bytes; want at most %d", len(text), MaxDescription)
	case !utf8.ValidString(text):
		f.add(field, nil, "is not valid UTF-8")
	case strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }):
		f.add(field, text, "holds a character that cannot be printed")
	}
}

func (f *faults) dates(list []firjob.DateRange) {
	if len(list) > MaxCalendarDates {
		f.add("dates", nil, "are %d ranges; want at most %d", len(list), MaxCalendarDates)
		return
	}
	for i, r := range list {
		path := fmt.Sprintf("dates[%d].", i)
		from, fromErr := time.Parse(time.DateOnly, r.From)
		if fromErr != nil {
			f.add(path+"from", r.From, "must be a date such as \"2027-01-01\"")
		}
		if r.Until == "" {
			continue
		}
		until, err := time.Parse(time.DateOnly, r.Until)
		switch {
		case err != nil:
			f.add(path+"until", r.Until, "must be a date such as \"2027-01-07\", or absent for one day")
		case fromErr == nil && until.Before(from):
			f.add(path+"until", r.Until, "must not be before from, which is %s", r.From)
		case fromErr == nil && r.Yearly && !until.Before(from.AddDate(1, 0, 0)):
			f.add(path+"until", r.Until, "must be less than a year after from, as the range is yearly")
		}
	}
}

func (f *faults) weekdays(list []string) {
	for i, name := range list {
		path := fmt.Sprintf("weekdays[%d]", i)
		if !slices.Contains(timetable.Weekdays[:], name) {
			f.add(path, name, "must be \"mon\", \"tue\", \"wed\", \"thu\", \"fri\", \"sat\" or \"sun\"")
		} else if slices.Contains(list[:i], name) {
			f.add(path, name, "is listed twice")
		}
	}
}

func (f *faults) hours(list []firjob.HourRange) {
	if len(list) > MaxCalendarHours {
		f.add("hours", nil, "are %d ranges; want at most %d", len(list), MaxCalendarHours)
		return
	}
	for i, r := range list {
		path := fmt.Sprintf("hours[%d].", i)
		if _, err := timetable.MinuteOf(r.From); err != nil {
			f.add(path+"from", r.From, "must be a time of day, \"00:00\" to \"23:59\"")
		}
		if _, err := timetable.MinuteOf(r.Until); err != nil {
			f.add(path+"until", r.Until,
				"must be a time of day, \"00:00\" to \"23:59\"; \"00:00\" is the end of the day")
		}
	}
}
