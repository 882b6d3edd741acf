package labdb_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/internal/timetable"
	"github.com/firjob/firjob/lab/labdb"
	"github.com/firjob/firjob/storage"
)

func TestReserveTakesOnlyWhatIsEmptyOrItsOwn(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	kept := s.job(nil)
	if _, err := labdb.Reserve(t.Context(), s.url, "dev"); firjob.CodeOf(err) != firjob.CodeConflict || !strings.Contains(err.Error(), "tables") {
		t.Fatalf("an installation's database: %v, want it refused", err)
	}
	if _, _, err := s.Job(t.Context(), kept.ID); err != nil {
		t.Fatalf("the job of a database that was refused: %v", err)
	}

	s.exec(`DROP SCHEMA public CASCADE; CREATE SCHEMA public`)
	for _, want := range []string{"", "an epoch", "an epoch"} {
		if epoch, err := labdb.Reserve(t.Context(), s.url, "dev"); err != nil || epoch != want {
			t.Fatalf("reserve: %q, %v; want %q", epoch, err, want)
		}
		var jobs string
		s.query(`SELECT coalesce(to_regclass('jobs')::text, '')`, &jobs)
		if jobs != "" {
			t.Fatal("what the benchmark before has written is still there")
		}
		if err := storage.Migrate(t.Context(), s.url); err != nil {
			t.Fatalf("migrate a reserved database: %v", err)
		}
		if err := labdb.NoteEpoch(t.Context(), s.url, "an epoch"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.CreateApp(t.Context(), app, []byte("hash"), []byte("key")); err != nil { // somebody has put it to use
		t.Fatal(err)
	}
	serving := s.job(nil)
	if _, err := labdb.Reserve(t.Context(), s.url, "dev"); firjob.CodeOf(err) != firjob.CodeConflict || !strings.Contains(err.Error(), "serves the app") {
		t.Errorf("a benchmark's database that serves others: %v, want it refused", err)
	}
	if _, _, err := s.Job(t.Context(), serving.ID); err != nil {
		t.Errorf("the job of a database that was refused: %v", err)
	}
}

// The databases of tests do without fsync.
func TestDurabilityRefusesLossyCommits(t *testing.T) {
	t.Parallel()
	found, err := newStore(t).Durability(t.Context())
	if firjob.CodeOf(err) != firjob.CodeConflict || !strings.Contains(err.Error(), "fsync") || found["server_version"] == "" {
		t.Errorf("settings %v, error %v; want fsync refused", found, err)
	}
}

func TestSeededJobsFireWhenTheyAreToldTo(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	template := s.job(func(j *firjob.Job) { j.Name, j.Priority = "seed", 7 })
	s.exec(`UPDATE jobs SET next_fire_at = NULL, enabled = false`)
	start := s.now().Add(48 * time.Hour).Truncate(time.Millisecond)
	for i := 0; i < 300; i += 100 {
		if err := s.SeedJobs(t.Context(), template.ID, i, i+100, start); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := s.CountJobs(t.Context()); err != nil || n != 301 {
		t.Fatalf("%d jobs, %v; want 300 and the template", n, err)
	}
	var spread, early int
	s.query(`SELECT count(DISTINCT date_trunc('week', next_fire_at)) FROM jobs`, &spread)
	s.query(`SELECT count(*) FROM jobs WHERE next_fire_at < now() + interval '47 h' OR NOT (priority = 7 AND enabled) AND name <> 'seed'`, &early)
	if spread < 50 || early != 0 {
		t.Errorf("fires in %d weeks of the year, %d out of it or unlike the template; want all weeks, none", spread, early)
	}
	s.checkSchedule(labdb.Firing{Count: 40, Start: s.now().Add(time.Minute), Step: 7 * time.Millisecond, Interval: 24 * time.Hour}, 0)
	s.checkSchedule(labdb.Firing{Count: 150, Start: s.now().Add(time.Hour), Step: time.Millisecond, Interval: 1500 * time.Millisecond}, 1)
}

// checkSchedule gives f to a half of the jobs and looks for each fire.
func (s *store) checkSchedule(f labdb.Firing, part int) {
	s.t.Helper()
	f.Start = f.Start.Truncate(time.Millisecond)
	if err := s.Reschedule(s.t.Context(), f, part, 2); err != nil {
		s.t.Fatal(err)
	}
	jobs, _, err := s.Jobs(s.t.Context(), ports.JobFilter{PageSize: 500})
	if err != nil {
		s.t.Fatal(err)
	}
	fires, inOrder := map[time.Time]bool{}, 0
	var last time.Time
	for _, j := range jobs {
		_, anchor, err := s.Job(s.t.Context(), j.ID)
		if err != nil {
			s.t.Fatal(err)
		}
		if next, err := timetable.FirstFire(j, anchor, anchor); err == nil && j.NextFireAt != nil && !next.Equal(*j.NextFireAt) {
			s.t.Errorf("the first fire of job %d is %v by its schedule and stored as %v", j.ID, next, j.NextFireAt)
		}
		if j.NextFireAt == nil || j.NextFireAt.Before(f.Start) || j.NextFireAt.After(f.At(f.Count)) {
			continue
		}
		if j.Schedule.Interval.Std() != f.Interval {
			s.t.Errorf("job %d fires every %v, want %v", j.ID, j.Schedule.Interval, f.Interval)
		}
		if j.NextFireAt.After(last) {
			inOrder++
		}
		fires[*j.NextFireAt], last = true, *j.NextFireAt
	}
	for k := range f.Count {
		if !fires[f.At(k).UTC()] {
			s.t.Fatalf("no job fires at %v, which is the time of number %d of %d; there are %d", f.At(k), k, f.Count, len(fires))
		}
	}
	if len(fires) != f.Count || inOrder > f.Count*9/10 {
		s.t.Errorf("%d fires, %d of them in the order of the jobs; want %d in no order", len(fires), inOrder, f.Count)
	}
}

func TestSeededHistoryIsLikeAnyOther(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	first, last := s.job(nil), s.job(func(j *firjob.Job) { j.Name = "other" })
	day := s.now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -9)
	if err := s.SeedHistory(t.Context(), day, 101, first.ID, last.ID); err != nil {
		t.Fatal(err)
	}
	if err := s.SettleHistory(t.Context(), day); err != nil {
		t.Fatal(err)
	}
	list, _, err := s.Executions(t.Context(), ports.ExecutionFilter{PageSize: 500})
	if err != nil || len(list) != 101 {
		t.Fatalf("%d executions, %v; want 101", len(list), err)
	}
	for _, e := range list {
		if id := firjob.Fire(e.JobID, e.ScheduledAt); id != e.ID || e.State != firjob.StateSucceeded ||
			e.ScheduledAt.Before(day) || !e.ScheduledAt.Before(day.AddDate(0, 0, 1)) {
			t.Fatalf("execution %+v, want a fire of that day that succeeded", e)
		}
	}
	a, err := s.Audit(t.Context(), labdb.AuditScope{From: day, Until: day.AddDate(0, 0, 1), FirstJob: first.ID, LastJob: first.ID})
	if err != nil || a.Recorded != 51 || a.Succeeded != 51 || a.Open != 0 || len(a.LatenessMS) != len(labdb.AuditQuantiles()) {
		t.Errorf("audit of one of two jobs: %+v, %v; want 51", a, err)
	}
	stall, latest, err := s.Stall(t.Context(), day, day.AddDate(0, 0, 1))
	if err != nil || stall < 25*time.Minute || stall > 30*time.Minute || latest != time.Millisecond {
		t.Errorf("51 pairs of fires in a day: a stall of %v, the latest %v late, %v; want about 28m and 1ms", stall, latest, err)
	}
	name, err := s.DropOldest(t.Context(), day.AddDate(0, 0, 1))
	if err != nil || name != "executions_"+day.Format("20060102") {
		t.Errorf("dropped %q, %v; want that day", name, err)
	}
	if name, err := s.DropOldest(t.Context(), day.AddDate(0, 0, 1)); name != "" || err != nil {
		t.Errorf("dropped %q, %v; want no day before it", name, err)
	}
}

func TestActivityCountsTransactions(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	a, err := s.Activity(t.Context())
	if err != nil || a.Transactions == 0 || a.Statements != -1 {
		t.Errorf("activity %+v, %v; want transactions, and no count of statements without its module", a, err)
	}
}

// What is due before the instant stays to be planned; others are not touched.
func TestEndPlanning(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	now := s.now()
	var jobs []firjob.JobID
	for i, in := range []time.Duration{time.Minute, time.Hour, 2 * time.Hour, 3 * time.Hour} {
		job := s.job(func(j *firjob.Job) { j.Name = fmt.Sprint(i) })
		s.exec(fmt.Sprintf(`UPDATE jobs SET next_fire_at = '%s' WHERE id = %d`, now.Add(in).Format(time.RFC3339Nano), job.ID))
		jobs = append(jobs, job.ID)
	}
	left, err := s.EndPlanning(t.Context(), jobs[0], jobs[2], now.Add(time.Hour))
	if err != nil || left != 1 {
		t.Errorf("%d jobs are left, %v; want the one that is due before", left, err)
	}
	for i, want := range []bool{true, false, false, true} {
		var got bool
		if s.query(fmt.Sprintf(`SELECT next_fire_at IS NOT NULL FROM jobs WHERE id = %d`, jobs[i]), &got); got != want {
			t.Errorf("job %d has a next fire: %v, want %v", i, got, want)
		}
	}
}

func TestStraysAreFiresThatWereNotDue(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job := s.job(nil)
	day := s.now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -3)
	if err := s.SeedHistory(t.Context(), day, 23, job.ID, job.ID); err != nil { // each full hour
		t.Fatal(err)
	}
	scope := labdb.AuditScope{From: day, Until: day.AddDate(0, 0, 1), FirstJob: job.ID, LastJob: job.ID}
	for _, tt := range []struct {
		name     string
		firsts   map[firjob.JobID]time.Time
		interval time.Duration
		want     int64
	}{
		{"all were due", map[firjob.JobID]time.Time{job.ID: day}, time.Hour, 0},
		{"between two fires", map[firjob.JobID]time.Time{job.ID: day}, 2 * time.Hour, 11},
		{"before the first", map[firjob.JobID]time.Time{job.ID: day.Add(5 * time.Hour)}, time.Hour, 5},
		{"a millisecond off", map[firjob.JobID]time.Time{job.ID: day.Add(time.Millisecond)}, time.Hour, 23},
		{"of a job that has none", nil, time.Hour, 23},
	} {
		if got, err := s.Strays(t.Context(), scope, tt.firsts, tt.interval); err != nil || got != tt.want {
			t.Errorf("%s: %d strays, %v; want %d", tt.name, got, err, tt.want)
		}
	}
}
