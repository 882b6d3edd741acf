package firjob_test

import (
	"testing"
	"time"

	"github.com/firjob/firjob"
)

var (
	editNow    = time.Date(2027, 1, 1, 10, 0, 0, 300_000_000, time.UTC)
	editAnchor = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	tomorrow   = editNow.Add(24 * time.Hour)
	yesterday  = editNow.Add(-24 * time.Hour)
)

func jobWith(s firjob.Schedule, enabled bool) firjob.Job {
	j := firjob.NewJob()
	j.Schedule, j.Enabled = s, enabled
	return j
}

var (
	hourly  = firjob.Schedule{Kind: firjob.ScheduleCron, Expr: "0 * * * *"}
	eachTwo = firjob.Schedule{Kind: firjob.ScheduleEvery, Interval: firjob.Duration(2 * time.Second)}
	pause30 = firjob.Schedule{Kind: firjob.ScheduleDelay, Interval: firjob.Duration(30 * time.Second)}
	ahead   = firjob.Schedule{Kind: firjob.ScheduleAt, At: &tomorrow}
	past    = firjob.Schedule{Kind: firjob.ScheduleAt, At: &yesterday}
	manual  = firjob.Schedule{Kind: firjob.ScheduleManual}
)

func TestFirstFire(t *testing.T) {
	t.Parallel()
	nextHour := time.Date(2027, 1, 1, 11, 0, 0, 0, time.UTC)
	tests := map[string]struct {
		job  firjob.Job
		want time.Time
	}{
		"cron":   {jobWith(hourly, true), nextHour},
		"every":  {jobWith(eachTwo, true), time.Date(2027, 1, 1, 10, 0, 2, 0, time.UTC)},
		"delay":  {jobWith(pause30, true), editNow.Add(30 * time.Second)},
		"at":     {jobWith(ahead, true), tomorrow},
		"past":   {jobWith(past, true), yesterday},
		"manual": {jobWith(manual, true), time.Time{}},
		"paused": {jobWith(hourly, false), time.Time{}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := tt.job.FirstFire(editNow, editAnchor)
			if err != nil || !got.Equal(tt.want) {
				t.Errorf("got %v, %v; want %v", got, err, tt.want)
			}
		})
	}
	if _, err := jobWith(firjob.Schedule{Kind: "never"}, false).FirstFire(editNow, editAnchor); err == nil {
		t.Error("a schedule that does not compile has no error")
	}
}

func TestFireAfterEdit(t *testing.T) {
	t.Parallel()
	soon := editNow.Add(7 * time.Second)
	withNext := func(j firjob.Job, next *time.Time) firjob.Job {
		j.NextFireAt = next
		return j
	}
	tests := map[string]struct {
		old, edited firjob.Job
		want        time.Time
	}{
		"cron goes on":              {withNext(jobWith(hourly, true), &soon), withNext(jobWith(hourly, true), nil), soon},
		"cron is late":              {withNext(jobWith(hourly, true), &yesterday), withNext(jobWith(hourly, true), &yesterday), yesterday},
		"cron is over":              {jobWith(hourly, true), jobWith(hourly, true), time.Time{}},
		"cron resumes":              {jobWith(hourly, false), jobWith(hourly, true), editNow.Truncate(time.Hour).Add(time.Hour)},
		"still paused":              {jobWith(hourly, false), jobWith(hourly, false), time.Time{}},
		"every keeps its fire":      {withNext(jobWith(eachTwo, true), &soon), withNext(jobWith(eachTwo, true), &soon), soon},
		"every resumes on its grid": {jobWith(eachTwo, false), jobWith(eachTwo, true), time.Date(2027, 1, 1, 10, 0, 2, 0, time.UTC)},
		"new every starts now":      {jobWith(hourly, true), jobWith(eachTwo, true), editNow.Add(2 * time.Second)},
		"pause":                     {jobWith(hourly, true), jobWith(hourly, false), time.Time{}},
		"delay waits for the end":   {jobWith(pause30, true), jobWith(pause30, true), time.Time{}},
		"delay keeps its fire":      {withNext(jobWith(pause30, true), &soon), withNext(jobWith(pause30, true), &soon), soon},
		"delay resumes":             {jobWith(pause30, false), jobWith(pause30, true), editNow.Add(30 * time.Second)},
		"at ahead":                  {withNext(jobWith(ahead, true), &tomorrow), withNext(jobWith(ahead, true), &tomorrow), tomorrow},
		"at ahead, recorded":        {jobWith(ahead, true), jobWith(ahead, true), time.Time{}},
		"at ahead, resumes":         {jobWith(ahead, false), jobWith(ahead, true), tomorrow},
		"at recorded":               {jobWith(past, true), jobWith(past, true), time.Time{}},
		"at not recorded yet":       {withNext(jobWith(past, true), &yesterday), withNext(jobWith(past, true), &yesterday), yesterday},
		"at slept through":          {jobWith(past, false), jobWith(past, true), time.Time{}},
		"new at in the past":        {jobWith(hourly, true), jobWith(past, true), yesterday},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := tt.edited.FireAfterEdit(tt.old, editNow, editAnchor)
			if err != nil || !got.Equal(tt.want) {
				t.Errorf("got %v, %v; want %v", got, err, tt.want)
			}
		})
	}
}

func TestSchedulesAreEqualByTheirFires(t *testing.T) {
	t.Parallel()
	elsewhere := tomorrow.In(time.FixedZone("", 3600))
	if !ahead.Equal(firjob.Schedule{Kind: firjob.ScheduleAt, At: &elsewhere}) {
		t.Error("the same instant in another zone is another schedule")
	}
	if ahead.Equal(past) || ahead.Equal(hourly) || hourly.Equal(eachTwo) {
		t.Error("other schedules are equal")
	}
}
