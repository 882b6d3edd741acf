package storage_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/storage"
)

// crowd is what several servers do to the executions of one store, at random,
// until every one of them is final. It counts who runs, as executors would.
type crowd struct {
	*store
	limit func(jobs map[firjob.JobID]int, apps int) string // says what is exceeded

	mu       sync.Mutex
	running  map[firjob.ExecutionID]firjob.AttemptRef
	perJob   map[firjob.JobID]int
	exceeded []string
}

func newCrowd(s *store, limit func(map[firjob.JobID]int, int) string) *crowd {
	return &crowd{store: s, limit: limit, running: map[firjob.ExecutionID]firjob.AttemptRef{}, perJob: map[firjob.JobID]int{}}
}

// began notes attempts whose claim was committed.
func (c *crowd) began(list []firjob.AttemptRef) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range list {
		c.running[a.ID] = a
		c.perJob[a.ID.Job()]++
	}
	if what := c.limit(c.perJob, len(c.running)); what != "" {
		c.exceeded = append(c.exceeded, what)
	}
}

// leaves takes some that run out of the count, before their end is asked for:
// from then on another one may begin.
func (c *crowd) leaves(n int) (list []firjob.AttemptRef) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, a := range c.running {
		if len(list) == n {
			break
		}
		delete(c.running, id)
		c.perJob[id.Job()]--
		list = append(list, a)
	}
	return list
}

// step does one thing that a server may do.
func (c *crowd) step(ctx context.Context, db *storage.DB, random *rand.Rand) error {
	switch n := random.IntN(20); {
	case n < 8:
		return c.claimSome(ctx, db, random)
	case n < 15:
		return c.endSome(ctx, db, random)
	case n < 17:
		_, _, err := db.Admit(ctx)
		return err
	case n < 18:
		return c.releaseSome(ctx, db)
	default:
		return c.cancelOne(ctx, db, random)
	}
}

func (c *crowd) claimSome(ctx context.Context, db *storage.DB, random *rand.Rand) error {
	due, err := db.DuePlanned(ctx, 0, 50)
	if err != nil || len(due) == 0 {
		return err
	}
	random.Shuffle(len(due), func(i, j int) { due[i], due[j] = due[j], due[i] })
	got, err := db.Claim(ctx, idsOf(due[:1+random.IntN(len(due))]), claimBy("r"))
	c.began(attemptsOf(got.Claimed))
	return err
}

func (c *crowd) endSome(ctx context.Context, db *storage.DB, random *rand.Rand) error {
	list := c.leaves(1 + random.IntN(3))
	if random.IntN(4) == 0 {
		_, err := db.Lose(ctx, list, "gone")
		return err
	}
	var items []ports.FinishItem
	for _, a := range list {
		r := firjob.Result{ID: a.ID, Token: a.Token, Outcome: firjob.OutcomeSucceeded}
		if random.IntN(3) == 0 {
			r.Outcome, r.Error = firjob.OutcomeFailed, "no paper"
		}
		items = append(items, ports.FinishItem{Executor: executor, Result: r})
	}
	_, err := db.Finish(ctx, items)
	return err
}

func (c *crowd) releaseSome(ctx context.Context, db *storage.DB) error {
	_, err := db.Release(ctx, c.leaves(1), 0, "no executor")
	return err
}

func (c *crowd) cancelOne(ctx context.Context, db *storage.DB, random *rand.Rand) error {
	list, _, err := db.Executions(ctx, ports.ExecutionFilter{States: []firjob.State{firjob.StatePlanned}, PageSize: 20})
	if err != nil || len(list) == 0 || random.IntN(4) > 0 {
		return err
	}
	_, _, err = db.CancelExecution(ctx, list[random.IntN(len(list))].ID)
	if code := firjob.CodeOf(err); code == firjob.CodeConflict {
		return nil // somebody else ended it
	}
	return err
}

// run lets three servers, two of their goroutines each, work until nothing is
// open, and checks that nothing was exceeded and that nothing is left.
func (c *crowd) run(edit func(db *storage.DB, random *rand.Rand) error) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 2*time.Minute)
	defer cancel()
	handles := []*storage.DB{c.open(), c.open(), c.open()}
	together(2*len(handles), func(i int) {
		db, random := handles[i%len(handles)], rand.New(rand.NewPCG(uint64(i), 1))
		for step := 0; ctx.Err() == nil; step++ {
			switch err := c.step(ctx, db, random); {
			case firjob.CodeOf(err) == firjob.CodeUnavailable: // a lock took too long: a server tries again
				c.t.Logf("step %d: %v", step, err)
			case err != nil:
				c.t.Errorf("step %d: %v", step, err)
				return
			}
			if i == 0 && step%10 == 5 {
				if err := edit(db, random); err != nil {
					c.t.Errorf("edit: %v", err)
					return
				}
			}
			if step%10 == 9 && c.done() {
				return
			}
		}
	})
	if ctx.Err() != nil {
		c.t.Errorf("%d executions are not final: %s", c.unfinished(), c.stuck())
	}
	for _, what := range c.exceeded {
		c.t.Error(what)
	}
	c.admit() // sees to rows that could not be seen to at the last end
	c.wantNoPlaces()
}

func (c *crowd) done() bool { return c.unfinished() == 0 }

func (c *crowd) unfinished() (n int) {
	c.query(`SELECT count(*) FROM executions WHERE finished_at IS NULL`, &n)
	return n
}

func (c *crowd) stuck() (text string) {
	c.query(`SELECT coalesce(string_agg(format('%s %s waiting=%s %s', id, state, waiting, reason), E'\n'), '')
		|| E'\nslots: ' || (SELECT coalesce(string_agg(s::text, E'\n'), '') FROM job_slots AS s)
		|| E'\nusage: ' || (SELECT coalesce(string_agg(u::text, E'\n'), '') FROM app_usage AS u)
		FROM executions WHERE finished_at IS NULL`, &text)
	return text
}

func noEdit(*storage.DB, *rand.Rand) error { return nil }

// crowdJob makes a job of whose fires every one is to run, and may fail twice.
func crowdJob(change func(*firjob.Job)) func(*firjob.Job) {
	return func(j *firjob.Job) {
		j.Misfire.Policy = firjob.MisfireFireAll
		j.Retry.MaxAttempts, j.Retry.Backoff, j.Retry.Jitter = 3, firjob.Duration(time.Millisecond), 0
		change(j)
	}
}

// Never more than max_running run, whatever servers do at once, and nobody is
// forgotten.
func TestMaxRunningUnderContention(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	most := map[firjob.JobID]int{}
	for _, c := range []struct {
		overlap firjob.Overlap
		places  int
	}{{firjob.OverlapQueue, 1}, {firjob.OverlapAllow, 3}, {firjob.OverlapQueue, 2}, {firjob.OverlapSkip, 2}} {
		job, _ := s.firesOf(25, crowdJob(func(j *firjob.Job) { j.Overlap, j.MaxRunning = c.overlap, c.places }))
		most[job.ID] = c.places
	}
	newCrowd(s, func(jobs map[firjob.JobID]int, _ int) string {
		for id, n := range jobs {
			if n > most[id] {
				return "more than max_running of a job ran"
			}
		}
		return ""
	}).run(noEdit)
}

// The same for an app, whose jobs have limits of their own in part.
func TestAppMaxRunningUnderContention(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.limit(firjob.AppLimits{MaxRunning: 4})
	var queued firjob.JobID
	for i := range 4 {
		job, _ := s.firesOf(20, crowdJob(func(j *firjob.Job) {
			j.Priority = i * 5
			if i == 0 {
				j.Overlap, j.MaxRunning = firjob.OverlapQueue, 2
			}
		}))
		if i == 0 {
			queued = job.ID
		}
	}
	newCrowd(s, func(jobs map[firjob.JobID]int, all int) string {
		switch {
		case all > 4:
			return "more than max_running of the app ran"
		case jobs[queued] > 2:
			return "more than max_running of the job ran"
		}
		return ""
	}).run(noEdit)
}

// Edits of limits, jobs and rates, back and forth: nobody is forgotten, and no
// place leaks.
func TestEditsUnderContention(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	var jobs []firjob.JobID
	for range 4 {
		job, _ := s.firesOf(20, crowdJob(func(j *firjob.Job) { j.Overlap = firjob.OverlapQueue }))
		jobs = append(jobs, job.ID)
	}
	rules := []firjob.Overlap{firjob.OverlapAllow, firjob.OverlapQueue, firjob.OverlapSkip, firjob.OverlapReplace}
	newCrowd(s, func(map[firjob.JobID]int, int) string { return "" }).run(func(db *storage.DB, random *rand.Rand) error {
		ctx := context.WithoutCancel(t.Context())
		if random.IntN(2) == 0 {
			_, err := db.UpdateApp(ctx, app, func(a *firjob.App) error {
				a.MaxRunning, a.MaxPerSecond = random.IntN(4), float64(random.IntN(2)*200)
				return nil
			})
			return err
		}
		_, _, err := db.UpdateJob(ctx, jobs[random.IntN(len(jobs))], func(_ time.Time, j *firjob.Job) error {
			j.Overlap, j.MaxRunning, j.ReplaceAfter = rules[random.IntN(len(rules))], random.IntN(3), firjob.Duration(20*time.Millisecond)
			return nil
		})
		return err
	})
}
