package chaos

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/cluster"
	"github.com/firjob/firjob/lab/checker"
)

// load makes the jobs of a run and changes some of them all the time. Each change
// is written down before it is asked for and when it is answered.
type load struct {
	Options
	api      *api
	recorder *Recorder
	zone     checker.Zone
	writes   atomic.Int64

	mu       sync.Mutex
	alive    map[firjob.JobID]bool // that have a schedule
	herdJob  firjob.JobID
	triggers int
}

func newLoad(o Options, api *api, recorder *Recorder, zone checker.Zone) *load {
	return &load{Options: o, api: api, recorder: recorder, zone: zone, alive: map[firjob.JobID]bool{}}
}

// change asks for one change of a job until it is answered. job is 0 for a
// creation. send asks, and fills in the job as it then is.
func (l *load) change(op checker.Op, job firjob.JobID, spec checker.Spec,
	send func(answer *firjob.Job) error) (firjob.JobID, error) {
	e := checker.Event{Kind: checker.KindWrite, Phase: checker.PhaseBegin, Write: l.writes.Add(1), Op: op, Job: job}
	began := time.Now()
	l.recorder.Record(e)
	var answer firjob.Job
	err := send(&answer)
	e.Spec = &spec
	if op == checker.OpCreate {
		e.Job = answer.ID
	}
	if spec.Every > 0 && answer.NextFireAt != nil {
		// The answer names the next fire that is to come, and others may have come
		// since the change: the first is the earliest on the same grid.
		spec.First = answer.NextFireAt.Add(-answer.NextFireAt.Sub(began) / spec.Every * spec.Every)
	}
	var no *refused
	switch {
	case err == nil:
		e.Phase = checker.PhaseOK
	case errors.As(err, &no):
		e.Phase = checker.PhaseFailed
	default:
		e.Phase = checker.PhaseUnknown
	}
	l.recorder.Record(e)
	if err != nil {
		return e.Job, fmt.Errorf("%s job %d: %w", op, job, err)
	}
	l.mu.Lock()
	switch {
	case op == checker.OpDelete:
		delete(l.alive, e.Job)
	case spec.Every > 0 || spec.Seconds != nil:
		l.alive[e.Job] = true
	}
	l.mu.Unlock()
	return e.Job, nil
}

func (l *load) create(ctx context.Context, name string, d definition) (firjob.JobID, error) {
	d.body["name"] = name
	return l.change(checker.OpCreate, 0, d.spec, func(answer *firjob.Job) error {
		err := l.api.insist(ctx, http.MethodPost, "/api/v1/jobs", "create-"+name, d.body, answer)
		var no *refused
		if errors.As(err, &no) && no.status == http.StatusConflict {
			return l.find(ctx, name, answer) // an earlier try has made it, and its answer was lost
		}
		return err
	})
}

// find looks for a job by its name.
func (l *load) find(ctx context.Context, name string, job *firjob.Job) error {
	var page struct{ Items []firjob.Job }
	query := url.Values{"app": {cluster.App}, "q": {name}, "page_size": {"500"}}
	if err := l.api.insist(ctx, http.MethodGet, "/api/v1/jobs?"+query.Encode(), "", nil, &page); err != nil {
		return err
	}
	i := slices.IndexFunc(page.Items, func(j firjob.Job) bool { return j.Name == name })
	if i < 0 {
		return fmt.Errorf("there is no job %q, though one was made", name)
	}
	*job = page.Items[i]
	return nil
}

// make makes the jobs that stay as they are.
func (l *load) make(ctx context.Context) error {
	jobs := special()
	if l.environ != nil { // built for chaos runs, so that it knows the zone of this run
		maps.Copy(jobs, zoned(l.zone, time.Now()))
	}
	rate := 0.0
	for _, d := range jobs {
		rate += d.rate()
	}
	maps.Copy(jobs, plain(max(1, float64(l.Rate)-rate-stormJobs)))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	if l.narrow != nil {
		jobs = l.narrow.jobs
	}
	for _, name := range slices.Sorted(maps.Keys(jobs)) {
		group.Go(func() error {
			id, err := l.create(groupCtx, name, jobs[name])
			if err != nil {
				return err
			}
			return l.makeChildren(groupCtx, name, id, jobs[name].children)
		})
	}
	return group.Wait()
}

func manual(handler string) definition {
	return definition{body: map[string]any{"app": cluster.App, "handler": handler,
		"schedule": map[string]any{"kind": "manual"}}}
}

// makeChildren makes a line of jobs, each of which runs after the one before.
func (l *load) makeChildren(ctx context.Context, name string, parent firjob.JobID, generations int) error {
	for range generations {
		child := manual("noop").with(
			map[string]any{"parents": map[string]any{"of": []any{map[string]any{"job": parent}}}})
		child.spec.Parent = parent
		var err error
		name = "child-of-" + name
		if parent, err = l.create(ctx, name, child); err != nil {
			return err
		}
	}
	return nil
}

// herd asks for many executions that are all due at one instant.
func (l *load) herd(ctx context.Context) error {
	l.mu.Lock()
	round := l.triggers
	l.triggers++
	l.mu.Unlock()
	n := min(10*l.Rate, 2000)
	at := time.Now().Add(2*time.Second + time.Duration(n)*3*time.Millisecond).Truncate(time.Millisecond)
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for i := range n {
		group.Go(func() error {
			return l.trigger(groupCtx, fmt.Sprintf("herd-%d-%d", round, i), map[string]any{"at": at})
		})
	}
	err := group.Wait()
	passed(ctx, time.Until(at))
	return err
}

// trigger asks for one execution of the herd's job.
func (l *load) trigger(ctx context.Context, key string, body any) error {
	e := checker.Event{Kind: checker.KindWrite, Phase: checker.PhaseBegin, Write: l.writes.Add(1),
		Op: checker.OpTrigger, Job: l.herdJob}
	l.recorder.Record(e)
	var made firjob.Execution
	err := l.api.insist(ctx, http.MethodPost, fmt.Sprintf("/api/v1/jobs/%d/trigger", l.herdJob), key, body, &made)
	e.Phase, e.Execution = checker.PhaseOK, made.ID
	if err != nil {
		e.Phase = checker.PhaseUnknown
	}
	l.recorder.Record(e)
	return err
}

const (
	stormJobs   = 12
	stormers    = 3
	stormPause  = 2 * time.Second // at most, between two changes of one stormer
	stormMember = stormJobs / stormers
)

// storm changes jobs of its own until stop ends; a change that is under way then
// is brought to its end, unless ctx ends, too.
func (l *load) storm(ctx, stop context.Context) error {
	var all errgroup.Group
	for i := range stormers {
		all.Go(func() error {
			s := &stormer{load: l, random: rand.New(rand.NewPCG(l.Seed, 100+uint64(i))),
				name: fmt.Sprintf("storm-%d", i)}
			return s.run(ctx, stop)
		})
	}
	return all.Wait()
}

// stormer changes some jobs, one after the other, at random.
type stormer struct {
	*load
	random *rand.Rand
	name   string
	made   int
	jobs   []*stormy
}

// stormy is a job as the latest answered change left it.
type stormy struct {
	id     firjob.JobID
	spec   checker.Spec // while it is not paused
	paused bool
}

func (s *stormer) run(ctx, stop context.Context) error {
	for range stormMember {
		if err := s.add(ctx); err != nil {
			return err
		}
	}
	for passed(stop, time.Duration(s.random.Int64N(int64(stormPause)))) {
		if err := s.step(ctx, s.random.IntN(len(s.jobs))); err != nil {
			return err
		}
	}
	return nil
}

func (s *stormer) pattern() pattern { return patterns()[s.random.IntN(len(patterns()))] }

func (s *stormer) add(ctx context.Context) error {
	d := cron(s.pattern(), "noop")
	s.made++
	id, err := s.create(ctx, fmt.Sprintf("%s-%d", s.name, s.made), d)
	if err == nil {
		s.jobs = append(s.jobs, &stormy{id: id, spec: d.spec})
	}
	return err
}

// step makes one change to the job of a number.
func (s *stormer) step(ctx context.Context, number int) error {
	job := s.jobs[number]
	switch draw := s.random.IntN(10); {
	case draw == 0:
		if err := s.remove(ctx, job); err != nil {
			return err
		}
		s.jobs = slices.Delete(s.jobs, number, number+1)
		return s.add(ctx)
	case job.paused:
		return s.flip(ctx, job, checker.OpResume, "/resume", job.spec)
	case draw < 5:
		return s.flip(ctx, job, checker.OpPause, "/pause", checker.Spec{Paused: true})
	}
	return s.edit(ctx, job)
}

func (s *stormer) path(job *stormy) string { return fmt.Sprintf("/api/v1/jobs/%d", job.id) }

func (s *stormer) flip(ctx context.Context, job *stormy, op checker.Op, verb string, spec checker.Spec) error {
	_, err := s.change(op, job.id, spec, func(answer *firjob.Job) error {
		return s.api.insist(ctx, http.MethodPost, s.path(job)+verb, "", map[string]any{}, answer)
	})
	job.paused = op == checker.OpPause
	return err
}

func (s *stormer) edit(ctx context.Context, job *stormy) error {
	p := s.pattern()
	job.spec.Seconds = p.seconds
	_, err := s.change(checker.OpEdit, job.id, job.spec, func(answer *firjob.Job) error {
		body := map[string]any{"schedule": map[string]any{"kind": "cron", "expr": p.expr}}
		return s.api.insist(ctx, http.MethodPatch, s.path(job), "", body, answer)
	})
	return err
}

func (s *stormer) remove(ctx context.Context, job *stormy) error {
	_, err := s.change(checker.OpDelete, job.id, checker.Spec{Deleted: true}, func(*firjob.Job) error {
		err := s.api.insist(ctx, http.MethodDelete, s.path(job), "", nil, nil)
		var no *refused
		if errors.As(err, &no) && no.status == http.StatusNotFound {
			return nil // an earlier try has done it
		}
		return err
	})
	return err
}

// pauseAll pauses every job that has a schedule.
func (l *load) pauseAll(ctx context.Context) error {
	l.mu.Lock()
	jobs := slices.Sorted(maps.Keys(l.alive))
	l.mu.Unlock()
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(4)
	for _, id := range jobs {
		group.Go(func() error {
			_, err := l.change(checker.OpPause, id, checker.Spec{Paused: true}, func(answer *firjob.Job) error {
				return l.api.insist(groupCtx, http.MethodPost, fmt.Sprintf("/api/v1/jobs/%d/pause", id), "",
					map[string]any{}, answer)
			})
			return err
		})
	}
	return group.Wait()
}
