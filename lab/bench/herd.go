package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/lab/labdb"
)

// Herd is many jobs that are due at one instant, beside others that go on.
type Herd struct {
	Jobs       int
	Lead       time.Duration // from the first job's making to the instant; 0: enough for a slow machine
	Background int           // executions a second of other jobs
}

// Of the default lead.
const (
	leadAtLeast   = 15 * time.Second
	makingRate    = 1500 // jobs a second that any machine makes
	beforeAndPast = 2 * time.Second
)

func (c Herd) lead() time.Duration {
	if c.Lead > 0 {
		return c.Lead
	}
	return leadAtLeast + time.Duration(c.Jobs)*time.Second/makingRate
}

// MeasureHerd measures how soon jobs that are due at one instant have all started,
// and what becomes of the others' punctuality meanwhile.
func MeasureHerd(ctx context.Context, o Options, c Herd) (*Report, error) {
	err := must(
		condition{c.Jobs > 0, "jobs", c.Jobs, "must be 1 or more"},
		condition{c.Background > 0, "background", c.Background, "must be 1 or more"},
		condition{c.Lead >= 0, "lead", c.Lead.String(), "must be 0s or more"},
	)
	if err != nil {
		return nil, err
	}
	settings := map[string]any{"jobs": c.Jobs, "background": c.Background, "lead": firjob.Duration(c.lead())}
	return o.repeat(ctx, "herd", settings, func(ctx context.Context) (run Run, err error) {
		err = o.onStage(ctx, func(s *stage) error {
			run, err = s.herd(ctx, c)
			return err
		})
		return run, err
	})
}

func (s *stage) herd(ctx context.Context, c Herd) (Run, error) {
	others := &load{name: "other", handler: lateness, interval: time.Second}
	if err := s.raise(ctx, others, c.Background, time.Time{}); err != nil {
		return Run{}, err
	}
	herd, err := s.gather(ctx, c)
	if err != nil {
		return Run{}, err
	}
	at := herd.jobs[0].first
	// The herd is planned ahead of its instant, at a cost that belongs to it.
	planned := at.Add(-s.o.Horizon - s.o.ScanInterval - beforeAndPast)
	if err := s.o.wait(ctx, max(0, time.Until(planned)), "waiting for the herd to be planned"); err != nil {
		return Run{}, err
	}
	work := span{from: time.Now(), before: s.usage()}
	if err := s.o.wait(ctx, max(0, time.Until(at)-beforeAndPast), "waiting for the instant"); err != nil {
		return Run{}, err
	}
	m := span{from: time.Now().Truncate(time.Millisecond)}
	if !passed(ctx, time.Until(at)+beforeAndPast) {
		return Run{}, context.Cause(ctx)
	}
	s.o.say("waiting for the end of the herd")
	a, err := s.settled(ctx, herd.scope(span{from: at, until: at.Add(time.Millisecond)}), int64(c.Jobs))
	if err != nil {
		return Run{}, err
	}
	m.until, work.after = time.Now().Truncate(time.Millisecond), s.usage()
	run, err := s.judgeHerd(ctx, herd, others, m, a)
	if err != nil {
		return run, err
	}
	run.CPUSeconds, run.RSSMB = work.after.cpuSince(work.before), work.after.rssMB
	// A lead so short that the planning began before the making had ended leaves the
	// cost unknown.
	if n := run.Executions + others.expected(work.from, m.from); !work.from.After(planned.Add(time.Second)) {
		run.CPUPerExecution = sum(run.CPUSeconds) * 1e6 / float64(n)
	}
	return run, nil
}

// gather makes the herd.
func (s *stage) gather(ctx context.Context, c Herd) (*load, error) {
	at := time.Now().Add(c.lead()).Truncate(time.Millisecond).UTC()
	s.o.say("making %d jobs that are due at %s", c.Jobs, at.Format(time.TimeOnly))
	jobs, err := s.createMany(ctx, c.Jobs, func(i int) newJob {
		return job(fmt.Sprintf("herd-%d", i), lateness, newSchedule{Kind: firjob.ScheduleAt, At: at})
	})
	if err != nil {
		return nil, err
	}
	if left := time.Until(at); left < beforeAndPast {
		return nil, fmt.Errorf("making the jobs took %v, which leaves nothing of the lead of %v: give a longer --lead",
			(c.lead() - left).Round(time.Second), c.lead())
	}
	herd := &load{interval: 24 * time.Hour}
	for _, j := range jobs {
		if j.NextFireAt == nil || !j.NextFireAt.Equal(at) {
			return nil, fmt.Errorf("job %d is due at %v, and the server gave its next fire as %v", j.ID, at,
				j.NextFireAt)
		}
		herd.jobs = append(herd.jobs, firing{j.ID, at})
	}
	return herd, nil
}

// judgeHerd puts the figures of the herd and of the others together. The quantiles
// of lateness are the herd's.
func (s *stage) judgeHerd(ctx context.Context, herd, others *load, m span, a labdb.Audit) (Run, error) {
	run := runOf(a, int64(len(herd.jobs)), m)
	quiet, err := s.measured(ctx, others, m)
	if err != nil {
		return run, err
	}
	run.carry(quiet)
	run.Lost = max(0, int64(len(herd.jobs))-a.Succeeded) + quiet.Lost
	run.Offered, run.CPUPerExecution, run.Executions = 0, 0, a.Succeeded+quiet.Executions
	run.ExecutionsPerSecond = float64(run.Executions) / run.Seconds
	run.Figures = map[string]float64{}
	for name, ms := range quiet.LatenessMS {
		run.Figures["others_lateness_"+name+"_ms"] = ms
	}
	if len(a.LatenessMS) == 5 {
		first, last := a.LatenessMS[4], a.LatenessMS[3]
		run.Figures["first_start_ms"], run.Figures["last_start_ms"], run.Figures["starting_ms"] = first, last,
			last-first
		if last > 0 {
			run.Figures["starts_per_second"] = float64(len(herd.jobs)) / last * 1000
		}
	}
	return run, nil
}
