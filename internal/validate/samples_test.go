package validate_test

import (
	"time"

	"github.com/firjob/firjob"
)

var (
	editNow  = time.Date(2027, 1, 1, 10, 0, 0, 300_000_000, time.UTC)
	tomorrow = editNow.Add(24 * time.Hour)

	hourly  = firjob.Schedule{Kind: firjob.ScheduleCron, Expr: "0 * * * *"}
	eachTwo = firjob.Schedule{Kind: firjob.ScheduleEvery, Interval: span(2 * time.Second)}
	pause30 = firjob.Schedule{Kind: firjob.ScheduleDelay, Interval: span(30 * time.Second)}
	ahead   = firjob.Schedule{Kind: firjob.ScheduleAt, At: &tomorrow}
	manual  = firjob.Schedule{Kind: firjob.ScheduleManual}

	newYear = firjob.Calendar{Name: "holidays", Mode: firjob.CalendarExclude, Version: 3,
		Dates: []firjob.DateRange{{From: "2027-01-01", Until: "2027-01-03"}}}
)
