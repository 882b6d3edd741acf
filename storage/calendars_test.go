package storage_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// calendar makes a calendar that leaves out days of long ago.
func (s *store) calendar(name string) firjob.Calendar {
	s.t.Helper()
	c, err := s.CreateCalendar(s.t.Context(), firjob.Calendar{Name: name, Description: "Of " + name, Mode: firjob.CalendarExclude,
		Dates: []firjob.DateRange{{From: "2001-01-01"}}})
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// close makes a calendar leave out today and the days around it.
func closed(now time.Time) func(*firjob.Calendar) error {
	return func(c *firjob.Calendar) error {
		c.Dates = []firjob.DateRange{{From: now.AddDate(0, 0, -1).Format(time.DateOnly), Until: now.AddDate(0, 0, 1).Format(time.DateOnly)}}
		return nil
	}
}

func TestCalendarsHaveVersions(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	made := s.calendar("holidays")
	if made.Version != 1 || made.CreatedAt.IsZero() {
		t.Errorf("made: %+v", made)
	}
	_, err := s.CreateCalendar(t.Context(), made)
	wantCode(t, err, firjob.CodeConflict)
	edit := func(c *firjob.Calendar) error {
		c.Weekdays = []string{"sun"}
		return nil
	}
	u, followed, err := s.UpdateCalendar(t.Context(), "holidays", edit)
	if err != nil || u.Version != 2 || u.Jobs != 0 || len(followed.Plan) != 0 {
		t.Fatalf("changed: %+v, %+v, %v", u, followed, err)
	}
	read, err := s.Calendar(t.Context(), "holidays")
	if diff := cmp.Diff(u, read); diff != "" || err != nil {
		t.Errorf("read (-changed +read):\n%s, %v", diff, err)
	}
	versions, next, err := s.CalendarVersions(t.Context(), "holidays", 0, 1)
	if err != nil || len(versions) != 1 || versions[0].Version != 2 || next != 2 {
		t.Fatalf("versions: %+v, next %d, %v", versions, next, err)
	}
	versions, next, err = s.CalendarVersions(t.Context(), "holidays", next, 1)
	if err != nil || len(versions) != 1 || versions[0].Version != 1 || versions[0].Weekdays != nil || next != 0 {
		t.Errorf("versions: %+v, next %d, %v", versions, next, err)
	}
	no := firjob.Errorf(firjob.CodeConflict, "no")
	_, _, err = s.UpdateCalendar(t.Context(), "holidays", func(*firjob.Calendar) error { return no })
	if err != error(no) { //nolint:errorlint // the very error, not one that wraps it
		t.Errorf("got the error %v, want change's own", err)
	}
	if err := s.DeleteCalendar(t.Context(), "holidays", func(firjob.Calendar) error { return no }); firjob.CodeOf(err) != firjob.CodeConflict {
		t.Errorf("got the error %v, want check's own", err)
	}
	fine := func(firjob.Calendar) error { return nil }
	if err := s.DeleteCalendar(t.Context(), "holidays", fine); err != nil {
		t.Fatal(err)
	}
	_, err = s.Calendar(t.Context(), "holidays")
	wantCode(t, err, firjob.CodeNotFound)
	_, _, err = s.UpdateCalendar(t.Context(), "holidays", edit)
	wantCode(t, err, firjob.CodeNotFound)
	wantCode(t, s.DeleteCalendar(t.Context(), "holidays", fine), firjob.CodeNotFound)
	_, _, err = s.CalendarVersions(t.Context(), "holidays", 0, 1)
	wantCode(t, err, firjob.CodeNotFound)
	_, err = s.Calendars(t.Context(), []string{"holidays"})
	wantCode(t, err, firjob.CodeInvalid)
	if again := s.calendar("holidays"); again.Version != 3 {
		t.Errorf("made again with version %d, want 3: what the others were stays", again.Version)
	}
}

func TestCalendarPages(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for _, name := range []string{"b", "a", "c"} {
		s.calendar(name)
	}
	s.job(func(j *firjob.Job) { j.Schedule.Calendars = []string{"b"} })
	list := func(f ports.CalendarFilter) (got []string) {
		t.Helper()
		f.PageSize = 2
		for {
			page, next, err := s.CalendarList(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			for _, u := range page {
				got = append(got, fmt.Sprint(u.Name, " ", u.Jobs))
			}
			if next == "" {
				return got
			}
			f.After = next
		}
	}
	if diff := cmp.Diff([]string{"a 0", "b 1", "c 0"}, list(ports.CalendarFilter{})); diff != "" {
		t.Errorf("all (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"b 1"}, list(ports.CalendarFilter{Query: "OF B"})); diff != "" {
		t.Errorf("by description (-want +got):\n%s", diff)
	}
	jobs, _, err := s.Jobs(t.Context(), ports.JobFilter{Calendar: "b", PageSize: 9})
	if err != nil || len(jobs) != 1 || len(jobs[0].Calendars) != 1 || jobs[0].Calendars[0].Name != "b" {
		t.Errorf("jobs of the calendar: %+v, %v", jobs, err)
	}
}

func TestJobsFollowTheirCalendar(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.calendar("holidays")
	s.calendar("other")
	follows := func(j *firjob.Job) { j.Schedule.Calendars = []string{"other", "holidays"} }
	job := s.job(follows)
	paused := s.job(func(j *firjob.Job) { follows(j); j.Enabled = false })
	foreign := s.job(func(j *firjob.Job) { j.Schedule.Calendars = []string{"other"} })
	now := s.now()
	ids := s.plan(job, now, now.Add(time.Second))
	running := s.mustClaim(ids[0])
	kept := s.plan(foreign, now)
	manual, _ := s.trigger(ports.TriggerRequest{Job: job.ID})

	u, followed, err := s.UpdateCalendar(t.Context(), "holidays", closed(now))
	if err != nil {
		t.Fatal(err)
	}
	if u.Jobs != 2 || !slices.Equal(followed.Plan, []firjob.JobID{job.ID, paused.ID}) {
		t.Errorf("got %d jobs, to be planned %v; want 2, %v", u.Jobs, followed.Plan, []firjob.JobID{job.ID, paused.ID})
	}
	e := s.wantState(ids[1], firjob.StateSuperseded)
	if !strings.Contains(e.Reason, "calendar holidays was changed to version 2") {
		t.Errorf("reason: got %q", e.Reason)
	}
	s.wantState(kept[0], firjob.StatePlanned)
	s.wantState(manual.ID, firjob.StatePlanned)
	s.wantReceipt(running, firjob.OutcomeSucceeded, firjob.ReceiptRecorded)
	after, _, err := s.Job(t.Context(), job.ID)
	if err != nil || after.Version != 2 || after.NextFireAt == nil || after.NextFireAt.Before(now.AddDate(0, 0, 1)) {
		t.Errorf("the job is %+v, %v; want version 2 and no fire before the day after tomorrow", after, err)
	}
	if got := []int{after.Calendars[0].Version, after.Calendars[1].Version}; !slices.Equal(got, []int{1, 2}) {
		t.Errorf("it follows the versions %v, want 1 of other and 2 of holidays", got)
	}
	if off, _, err := s.Job(t.Context(), paused.ID); err != nil || off.NextFireAt != nil || off.Version != 2 {
		t.Errorf("the paused job is %+v, %v", off, err)
	}
	// An edit of something else leaves the fires alone: the calendar is the same.
	next := s.nextFire(job.ID)
	if edited := s.edit(job.ID, func(j *firjob.Job) { j.Priority = 3 }); !edited.NextFireAt.Equal(next) {
		t.Errorf("an edit moved the next fire from %v to %v", next, edited.NextFireAt)
	}
	// Opened again, it fires as before.
	if _, _, err = s.UpdateCalendar(t.Context(), "holidays", func(c *firjob.Calendar) error { c.Dates = nil; c.Weekdays = []string{}; return nil }); err != nil {
		t.Fatal(err)
	}
	if next := s.nextFire(job.ID); next.After(s.now().Add(2 * time.Second)) {
		t.Errorf("the next fire is %v, want it within a second", next)
	}
	err = s.DeleteCalendar(t.Context(), "holidays", func(firjob.Calendar) error { return nil })
	wantCode(t, err, firjob.CodeConflict)
	for _, id := range []firjob.JobID{job.ID, paused.ID} {
		s.edit(id, func(j *firjob.Job) { j.Schedule.Calendars = nil })
	}
	if err := s.DeleteCalendar(t.Context(), "holidays", func(firjob.Calendar) error { return nil }); err != nil {
		t.Error(err)
	}
}

// Whoever comes to name a calendar while it changes follows the new version, and
// so does whoever is edited.
func TestCalendarsChangeAmongEdits(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.calendar("holidays")
	var jobs []firjob.Job
	for range 8 {
		jobs = append(jobs, s.job(func(j *firjob.Job) { j.Schedule.Calendars = []string{"holidays"} }))
	}
	together(3, func(worker int) {
		for i := range 15 {
			var err error
			switch worker {
			case 0:
				_, _, err = s.UpdateCalendar(t.Context(), "holidays", func(c *firjob.Calendar) error { c.Description = fmt.Sprint(i); return nil })
			case 1:
				_, _, err = s.UpdateJob(t.Context(), jobs[i%len(jobs)].ID, func(_ time.Time, j *firjob.Job) error { j.Priority = i % 10; return nil })
			default:
				_, err = s.CreateJobs(t.Context(), manyJobs(3, func(_ int, j *firjob.Job) {
					j.Name += fmt.Sprint(" ", i)
					j.Schedule.Calendars = []string{"holidays"}
				}), true)
			}
			if err != nil {
				t.Errorf("worker %d: %v", worker, err)
			}
		}
	})
	u, err := s.Calendar(t.Context(), "holidays")
	if err != nil || u.Version != 16 || u.Jobs != 8+45 {
		t.Fatalf("got %+v, %v; want version 16 and 53 jobs", u, err)
	}
	list, _, err := s.Jobs(t.Context(), ports.JobFilter{PageSize: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, j := range list {
		if j.Calendars[0].Version != 16 {
			t.Errorf("job %d follows version %d, want 16", j.ID, j.Calendars[0].Version)
		}
	}
}

func TestTenThousandJobsFollowACalendar(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.calendar("holidays")
	jobs := manyJobs(10_000, func(_ int, j *firjob.Job) {
		j.Schedule = firjob.Schedule{Kind: firjob.ScheduleCron, Expr: "0 2 * * *", Timezone: "UTC", Calendars: []string{"holidays"}}
	})
	if _, err := s.CreateJobs(t.Context(), jobs, true); err != nil {
		t.Fatal(err)
	}
	now := s.now()
	s.exec(`INSERT INTO executions (id, job_id, job_version, due_at)
		SELECT (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint + 1000), 12, '0') || '800080000000' || lpad(to_hex(id), 8, '0'))::uuid, id, 1, now()
		FROM jobs`)
	began := time.Now()
	u, followed, err := s.UpdateCalendar(t.Context(), "holidays", closed(now))
	if err != nil || u.Jobs != len(jobs) || len(followed.Plan) != len(jobs) {
		t.Fatalf("got %d jobs, %d to be planned, %v", u.Jobs, len(followed.Plan), err)
	}
	t.Logf("10000 jobs followed in %v", time.Since(began))
	var late, open int
	s.query(`SELECT count(*) FILTER (WHERE next_fire_at < now() + interval '1 day' OR version <> 2 OR fires_since <> 2) FROM jobs`, &late)
	s.query(`SELECT count(*) FROM executions WHERE state <> 'superseded'`, &open)
	if late > 0 || open > 0 {
		t.Errorf("%d jobs do not follow, %d executions are as they were", late, open)
	}
}
