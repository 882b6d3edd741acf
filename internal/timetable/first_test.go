package timetable_test

import (
	"strings"
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/timetable"
)

var (
	editNow    = time.Date(2027, 1, 1, 10, 0, 0, 300_000_000, time.UTC)
	editAnchor = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	tomorrow   = editNow.Add(24 * time.Hour)
	yesterday  = editNow.Add(-24 * time.Hour)
)

func span(d time.Duration) firjob.Duration { return firjob.Duration(d) }

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

func within(s firjob.Schedule, start, end *time.Time) firjob.Schedule {
	s.StartAt, s.EndAt = start, end
	return s
}

// cronWith returns an hourly job that follows a calendar.
func cronWith(c firjob.Calendar) firjob.Job {
	j := jobWith(hourly, true)
	j.Schedule.Calendars, j.Calendars = []string{c.Name}, []firjob.Calendar{c}
	return j
}

func TestFirstFire(t *testing.T) {
	t.Parallel()
	inTen := editNow.Add(10 * time.Second)
	gone := firjob.Calendar{Name: "gone", Mode: firjob.CalendarInclude, Dates: []firjob.DateRange{{From: "2020-01-01"}}}
	nextHour := time.Date(2027, 1, 1, 11, 0, 0, 0, time.UTC)
	latest := firjob.LatestAt()
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

		"cron from tomorrow":        {jobWith(within(hourly, &tomorrow, nil), true), time.Date(2027, 1, 2, 11, 0, 0, 0, time.UTC)},
		"cron till tomorrow":        {jobWith(within(hourly, nil, &tomorrow), true), nextHour},
		"cron that is over":         {jobWith(within(hourly, nil, &yesterday), true), time.Time{}},
		"every from tomorrow":       {jobWith(within(eachTwo, &tomorrow, nil), true), tomorrow},
		"delay from tomorrow":       {jobWith(within(pause30, &tomorrow, nil), true), tomorrow},
		"delay that is over":        {jobWith(within(pause30, nil, &yesterday), true), time.Time{}},
		"delay that ends too soon":  {jobWith(within(pause30, nil, &inTen), true), time.Time{}},
		"cron to the end of time":   {jobWith(within(firjob.Schedule{Kind: firjob.ScheduleCron, Expr: "0 0 1 1 *"}, &latest, nil), true), time.Time{}},
		"every to the end of time":  {jobWith(within(eachTwo, &latest, nil), true), latest},
		"cron on a holiday":         {cronWith(newYear), time.Date(2027, 1, 4, 0, 0, 0, 0, time.UTC)},
		"delay on a holiday":        {following("", newYear), time.Date(2027, 1, 4, 0, 0, 0, 0, time.UTC)},
		"cron without a fire left":  {cronWith(gone), time.Time{}},
		"delay without a fire left": {following("", gone), time.Time{}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := timetable.FirstFire(tt.job, editNow, editAnchor)
			if err != nil || !got.Equal(tt.want) {
				t.Errorf("got %v, %v; want %v", got, err, tt.want)
			}
		})
	}
	if _, err := timetable.FirstFire(jobWith(firjob.Schedule{Kind: "never"}, false), editNow, editAnchor); err == nil {
		t.Error("a schedule that does not compile has no error")
	}
}

func TestFireAfterEdit(t *testing.T) {
	t.Parallel()
	soon := editNow.Add(7 * time.Second)
	fourth := time.Date(2027, 1, 4, 0, 0, 0, 0, time.UTC)
	newer, lifted := newYear, newYear
	newer.Version, lifted.Version, lifted.Dates = 4, 4, nil
	withNext := func(j firjob.Job, next *time.Time) firjob.Job {
		j.NextFireAt = next
		return j
	}
	tests := map[string]struct {
		old, edited firjob.Job
		want        time.Time
	}{
		"cron goes on":                       {withNext(jobWith(hourly, true), &soon), withNext(jobWith(hourly, true), nil), soon},
		"cron is late":                       {withNext(jobWith(hourly, true), &yesterday), withNext(jobWith(hourly, true), &yesterday), yesterday},
		"cron is over":                       {jobWith(hourly, true), jobWith(hourly, true), time.Time{}},
		"cron resumes":                       {jobWith(hourly, false), jobWith(hourly, true), editNow.Truncate(time.Hour).Add(time.Hour)},
		"still paused":                       {jobWith(hourly, false), jobWith(hourly, false), time.Time{}},
		"every keeps its fire":               {withNext(jobWith(eachTwo, true), &soon), withNext(jobWith(eachTwo, true), &soon), soon},
		"every resumes on its grid":          {jobWith(eachTwo, false), jobWith(eachTwo, true), time.Date(2027, 1, 1, 10, 0, 2, 0, time.UTC)},
		"new every starts now":               {jobWith(hourly, true), jobWith(eachTwo, true), editNow.Add(2 * time.Second)},
		"pause":                              {jobWith(hourly, true), jobWith(hourly, false), time.Time{}},
		"delay waits for the end":            {jobWith(pause30, true), jobWith(pause30, true), time.Time{}},
		"delay keeps its fire":               {withNext(jobWith(pause30, true), &soon), withNext(jobWith(pause30, true), &soon), soon},
		"delay resumes":                      {jobWith(pause30, false), jobWith(pause30, true), editNow.Add(30 * time.Second)},
		"at ahead":                           {withNext(jobWith(ahead, true), &tomorrow), withNext(jobWith(ahead, true), &tomorrow), tomorrow},
		"at ahead, recorded":                 {jobWith(ahead, true), jobWith(ahead, true), time.Time{}},
		"at ahead, resumes":                  {jobWith(ahead, false), jobWith(ahead, true), tomorrow},
		"at recorded":                        {jobWith(past, true), jobWith(past, true), time.Time{}},
		"at not recorded yet":                {withNext(jobWith(past, true), &yesterday), withNext(jobWith(past, true), &yesterday), yesterday},
		"at slept through":                   {jobWith(past, false), jobWith(past, true), time.Time{}},
		"delay, another calendar":            {withNext(following("", newYear), &tomorrow), following("", newer), time.Date(2027, 1, 4, 0, 0, 0, 0, time.UTC)},
		"delay, a calendar lifts its ban":    {withNext(following("", newYear), &fourth), following("", lifted), editNow.Add(firjob.MinInterval)},
		"delay, another calendar while open": {following("", newYear), following("", newer), time.Time{}},
		"cron, another calendar":             {withNext(cronWith(newYear), &fourth), cronWith(lifted), editNow.Truncate(time.Hour).Add(time.Hour)},
		"a window":                           {withNext(jobWith(hourly, true), &soon), jobWith(within(hourly, &fourth, nil), true), fourth},
		"new at in the past":                 {jobWith(hourly, true), jobWith(past, true), yesterday},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := timetable.FireAfterEdit(tt.edited, tt.old, editNow, editAnchor)
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
	if !within(hourly, &elsewhere, &tomorrow).Equal(within(hourly, &tomorrow, &elsewhere)) {
		t.Error("the same window in another zone is another schedule")
	}
	for _, other := range []firjob.Schedule{within(hourly, &tomorrow, nil), within(hourly, nil, &tomorrow), cronWith(newYear).Schedule,
		{Kind: hourly.Kind, Expr: hourly.Expr, Jitter: 1}, {Kind: hourly.Kind, Expr: hourly.Expr, Dialect: "quartz"}} {
		if hourly.Equal(other) || other.Equal(hourly) || !other.Equal(other) {
			t.Errorf("%+v and %+v are equal", hourly, other)
		}
	}
	spelled := firjob.Schedule{Kind: hourly.Kind, Expr: hourly.Expr, Timezone: "UTC", Dialect: "unix", Gap: "run_after", OverlapHour: "once"}
	if !hourly.Equal(spelled) || !spelled.Equal(hourly) {
		t.Error("a default that is written out makes another schedule")
	}
	two, turned, third := eachTwo, eachTwo, eachTwo
	two.Calendars, turned.Calendars, third.Calendars = []string{"a", "b"}, []string{"b", "a"}, []string{"a", "c"}
	if !two.Equal(turned) || two.Equal(third) || two.Calendars[0] != "a" || turned.Calendars[0] != "b" {
		t.Error("calendars in another order make another schedule, or other calendars do not")
	}
	if ahead.Equal(past) || ahead.Equal(hourly) || hourly.Equal(eachTwo) {
		t.Error("other schedules are equal")
	}
}

func TestSameFires(t *testing.T) {
	t.Parallel()
	named := func(j firjob.Job, app, name string) firjob.Job {
		j.App, j.Name = app, name
		return j
	}
	hashed := jobWith(firjob.Schedule{Kind: firjob.ScheduleCron, Expr: "H * * * *"}, true)
	jittered := jobWith(firjob.Schedule{Kind: firjob.ScheduleCron, Expr: "0 * * * *", Jitter: span(time.Second)}, true)
	newer := newYear
	newer.Version++
	two := func(a, b firjob.Calendar) firjob.Job {
		j := cronWith(newYear)
		j.Calendars = []firjob.Calendar{a, b}
		return j
	}
	tests := map[string]struct {
		a, b firjob.Job
		want bool
	}{
		"the same":                      {jobWith(hourly, true), jobWith(hourly, true), true},
		"paused":                        {jobWith(hourly, true), jobWith(hourly, false), false},
		"another schedule":              {jobWith(hourly, true), jobWith(eachTwo, true), false},
		"another name":                  {named(jobWith(hourly, true), "a", "b"), named(jobWith(hourly, true), "a", "c"), true},
		"another name, hashed":          {named(hashed, "a", "b"), named(hashed, "a", "c"), false},
		"another app, jittered":         {named(jittered, "a", "b"), named(jittered, "b", "b"), false},
		"the same name, jittered":       {named(jittered, "a", "b"), named(jittered, "a", "b"), true},
		"the same calendar":             {cronWith(newYear), cronWith(newYear), true},
		"another version of it":         {cronWith(newYear), cronWith(newer), false},
		"another calendar":              {cronWith(newYear), cronWith(workdays), false},
		"the same ones, another way on": {two(newYear, workdays), two(workdays, newYear), true},
	}
	for name, tt := range tests {
		if got := timetable.SameFires(tt.a, tt.b); got != tt.want {
			t.Errorf("%s: got %v, want %v", name, got, tt.want)
		}
	}
}

func TestDelayedFire(t *testing.T) {
	t.Parallel()
	end := time.Date(2027, 1, 1, 10, 0, 0, 1, time.UTC)
	soon := end.Add(10 * time.Second)
	tests := map[string]struct {
		job  firjob.Job
		now  time.Time
		want string
	}{
		"one interval later, rounded up": {jobWith(pause30, true), end, "2027-01-01T10:00:30.001Z"},
		"not before now":                 {jobWith(pause30, true), end.Add(time.Minute), "2027-01-01T10:01:00.001Z"},
		"not before start_at":            {jobWith(within(pause30, &tomorrow, nil), true), end, tomorrow.Format(time.RFC3339Nano)},
		"none at end_at":                 {jobWith(within(pause30, nil, &soon), true), end, ""},
		"when a calendar permits":        {following("Asia/Shanghai", newYear), end, "2027-01-03T16:00:00Z"},
	}
	for name, tt := range tests {
		got, err := timetable.DelayedFire(tt.job, end, tt.now)
		if err != nil || !got.Equal(instant(t, tt.want)) {
			t.Errorf("%s: got %v, %v; want %s", name, got, err, tt.want)
		}
	}
	lost := following("", newYear)
	lost.Calendars = nil
	if _, err := timetable.DelayedFire(lost, end, end); err == nil || !strings.Contains(err.Error(), `calendar "holidays" is not known`) {
		t.Errorf("without its calendar: error %v", err)
	}
}
