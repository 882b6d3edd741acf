package firjob

import (
	"time"
)

// CalendarMode says what a calendar does with the instants that it names.
type CalendarMode string

// The modes.
const (
	CalendarExclude CalendarMode = "exclude" // what it names is left out
	CalendarInclude CalendarMode = "include" // only what it names is left in
)

// Calendar permits some instants and forbids others, for any number of jobs. It
// names an instant that lies on one of its Dates, or on one of its Weekdays, or
// within one of its daily Hours, as the clocks of its zone show them; Mode says
// what follows. A schedule with several calendars fires when each of them
// permits it. So lists within a calendar add up (or), and calendars narrow each
// other down (and): working hours are an include of weekdays and an include of
// hours, or an include of weekdays and an exclude of the hours of night.
type Calendar struct {
	Name        string       `json:"name"`
	Description string       `json:"description,omitempty"`
	Mode        CalendarMode `json:"mode"`
	Timezone    string       `json:"timezone,omitempty"` // IANA name; "" = the schedule's
	Dates       []DateRange  `json:"dates,omitempty"`
	Weekdays    []string     `json:"weekdays,omitempty"` // "mon" to "sun"
	Hours       []HourRange  `json:"hours,omitempty"`
	Version     int          `json:"version"`
	CreatedAt   time.Time    `json:"created_at"`
	UpdatedAt   time.Time    `json:"updated_at"`
}

// DateRange is one day, or the days from the first to the last, both included.
type DateRange struct {
	From  string `json:"from"`            // "2027-01-01"
	Until string `json:"until,omitempty"` // the last day; "" = From alone
	// the same days of every year, whatever the year in From; 29 February is one in leap years only
	Yearly bool `json:"yearly,omitempty"`
}

// HourRange is a span of each day, From included and Until not. It goes on
// past midnight when Until is not later than From; the same twice is all day.
type HourRange struct {
	From  string `json:"from"`  // "22:00"
	Until string `json:"until"` // "06:00"
}
