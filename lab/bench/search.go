package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/firjob/firjob"
)

// Search looks for the highest rate that a cluster keeps up with.
type Search struct {
	Interval    time.Duration // of each job
	From        int           // the first rate that is tried
	Precision   float64       // it ends when the lowest that failed is within this share of the highest that held
	MaxLateness time.Duration // p99 at which a rate is kept up with at most
}

// Step is one rate that a search has tried.
type Step struct {
	Offered             float64 `json:"offered_per_second"`
	ExecutionsPerSecond float64 `json:"executions_per_second"`
	LatenessP99MS       float64 `json:"lateness_p99_ms"`
	CPUPerExecution     float64 `json:"cpu_us_per_execution"`
	Seconds             float64 `json:"seconds"` // that were measured
	Kept                bool    `json:"kept_up"`
	GivenUp             bool    `json:"given_up"` // before the span had passed
}

// pace is how long a rate is tried, and the share of what is due within the span
// that must end within it.
type pace struct {
	warmup, duration time.Duration
	share            float64
}

// full is the pace of the figures. A cluster that falls behind by 1 % falls behind
// for ever.
func (o Options) full() pace { return pace{o.Warmup, o.Duration, 0.99} }

// brief is the pace of the steps that only look for the neighbourhood. A tenth of a
// second, which Postgres may spend on a checkpoint, is 3 % of their span.
func (o Options) brief() pace {
	return pace{min(o.Warmup, 2*time.Second), min(o.Duration, 4*time.Second), 0.97}
}

func (c Search) validate() error {
	return must(
		condition{c.From > 0, "from", c.From, "must be 1 or more"},
		condition{c.Interval >= time.Millisecond, "interval", c.Interval.String(), "must be 1ms or more"},
		condition{c.Precision >= 0.01 && c.Precision <= 1, "precision", c.Precision, "must be 0.01 to 1"},
		condition{c.MaxLateness > 0, "max-lateness", c.MaxLateness.String(), "must be above 0s"},
	)
}

// MaxThroughput measures the highest rate that is kept up with: 99 % of what is
// due within the span ends within it, and the p99 of the lateness is bounded. Most
// of the steps to it are shorter; the figures are those of a whole span.
func MaxThroughput(ctx context.Context, o Options, c Search) (*Report, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	settings := map[string]any{"rate": "max", "interval": firjob.Duration(c.Interval), "from": c.From,
		"precision": c.Precision, "max_lateness": firjob.Duration(c.MaxLateness)}
	return o.repeat(ctx, "throughput", settings, func(ctx context.Context) (run Run, err error) {
		err = o.onStage(ctx, func(s *stage) error {
			h := &hunt{stage: s, Search: c}
			run, err = h.search(ctx)
			return err
		})
		return run, err
	})
}

// hunt is a search that goes on.
type hunt struct {
	*stage
	Search
	steps []Step
	loads []*load // of all steps
	worst Run     // the counts of all steps: nothing may be lost beyond the limit either
}

// search finds the neighbourhood of the highest rate by brief steps, and the rate
// itself by steps of the whole span, which begin at what held.
func (h *hunt) search(ctx context.Context) (best Run, err error) {
	held, _, err := h.seek(ctx, jobsFor(h.From, h.Interval), 0, 0.5, h.o.brief())
	if err == nil && held > 0 {
		held, best, err = h.seek(ctx, held, held+1, h.Precision, h.o.full())
	}
	if err != nil {
		return best, err
	}
	if err := h.overruns(ctx); err != nil {
		return best, err
	}
	best.carry(h.worst)
	best.Steps = h.steps
	if held == 0 {
		return best, fmt.Errorf("not even %.1f executions/s are kept up with", h.steps[len(h.steps)-1].Offered)
	}
	return best, nil
}

// seek tries numbers of jobs, n first, until what held and what was too much are
// near each other; tooMuch is known to be so already, unless it is 0. As long as
// nothing holds, it tries less by the share drop, then by twice as much, up to a half.
// It returns the highest that held, 0 if none did, and what it measured then.
func (h *hunt) seek(ctx context.Context, n, tooMuch int, drop float64, p pace) (held int, best Run, err error) {
	for {
		run, kept, err := h.try(ctx, n, p)
		if err != nil {
			return held, best, err
		}
		if kept {
			held, best = n, run
		} else {
			tooMuch = n
		}
		if near(held, tooMuch, h.Precision) {
			return held, best, nil
		}
		n = next(held, tooMuch, drop)
		drop = min(0.5, 2*drop)
	}
}

// near reports whether what held and what was too much are as near as they can be,
// or as they need to be.
func near(held, tooMuch int, precision float64) bool {
	return tooMuch > 0 && (tooMuch-held <= 1 || held > 0 && float64(tooMuch-held) <= precision*float64(held))
}

// next is the number of jobs to try: twice what held, half-way between what held and
// what was too much, or, as long as nothing has held, less by the share drop.
func next(held, tooMuch int, drop float64) int {
	switch {
	case tooMuch == 0:
		return 2 * held
	case held > 0:
		return (held + tooMuch) / 2
	}
	return max(1, min(tooMuch-1, int(float64(tooMuch)*(1-drop))))
}

// try measures n jobs, and reports whether their rate is kept up with. The jobs are
// new ones that end by themselves, or are ended if the step is given up. After too
// high a rate it waits until nothing is overdue; otherwise the next rate follows at
// once.
func (h *hunt) try(ctx context.Context, n int, p pace) (run Run, kept bool, err error) {
	l := &load{name: fmt.Sprintf("step-%d", len(h.loads)+1), handler: noop, interval: h.Interval,
		lasts: h.o.lasting(p.warmup + p.duration)}
	if err := h.raise(ctx, l, n, h.free()); err != nil {
		return run, false, err
	}
	h.loads = append(h.loads, l)
	m, gaveUp, err := h.watchUnless(ctx, l, p)
	if err != nil {
		return run, false, err
	}
	if gaveUp {
		if err := h.cutShort(ctx, l, m.until); err != nil {
			return run, false, err
		}
	}
	if run, err = h.measured(ctx, l, m); err != nil {
		return run, false, err
	}
	kept = !gaveUp && run.ExecutionsPerSecond >= p.share*run.Offered && run.LatenessMS["p99"] <= inMS(h.MaxLateness)
	h.steps = append(h.steps, Step{run.Offered, run.ExecutionsPerSecond, run.LatenessMS["p99"], run.CPUPerExecution,
		run.Seconds, kept, gaveUp})
	h.worst.carry(run)
	h.o.say("offered %.0f/s: %.0f/s in %.1f s, p99 %.1f ms: %s", run.Offered, run.ExecutionsPerSecond, run.Seconds,
		run.LatenessMS["p99"], verdict(kept))
	if kept {
		return run, kept, nil
	}
	return run, kept, h.drained(ctx, l)
}

// free is when the load of the last step has ended.
func (h *hunt) free() time.Time {
	if len(h.loads) == 0 {
		return time.Time{}
	}
	return h.loads[len(h.loads)-1].end
}

// carry keeps the worst counts of several runs.
func (r *Run) carry(others ...Run) {
	for _, o := range others {
		r.Early, r.Lost = max(r.Early, o.Early), max(r.Lost, o.Lost)
		r.Doubled, r.Repeated = max(r.Doubled, o.Doubled), max(r.Repeated, o.Repeated)
	}
}

func verdict(kept bool) string {
	if kept {
		return "kept up with"
	}
	return "too much"
}

// overruns looks for fires of any step after its end.
func (h *hunt) overruns(ctx context.Context) error {
	for _, l := range h.loads {
		n, err := h.beyond(ctx, l)
		if err != nil {
			return err
		}
		h.worst.Doubled = max(h.worst.Doubled, n)
	}
	return nil
}

// watchUnless lets a load warm up and measures it. It gives up as soon as too much
// is overdue: the span ends there, and if that was within the warm-up it is what had
// passed of it.
func (h *hunt) watchUnless(ctx context.Context, l *load, p pace) (m span, gaveUp bool, err error) {
	if err := h.o.wait(ctx, time.Until(l.whole), "waiting for the load"); err != nil {
		return m, false, err
	}
	begin := func() { m.from, m.before = time.Now().Truncate(time.Millisecond), h.usage() }
	begin()
	due := l.expected(l.start, l.start.Add(p.duration))
	hopeless := func(ctx context.Context) (bool, error) { return h.hopeless(ctx, due) }
	gaveUp, err = h.o.waitUnless(ctx, p.warmup, hopeless)
	if err == nil && !gaveUp {
		begin()
		gaveUp, err = h.o.waitUnless(ctx, p.duration, hopeless)
	}
	m.until, m.after = time.Now().Truncate(time.Millisecond), h.usage()
	return m, gaveUp, err
}

// hopeless reports whether 1 % of what is due within a span is overdue by twice
// what the p99 of the lateness may be.
func (h *hunt) hopeless(ctx context.Context, due int64) (bool, error) {
	bound := max(1, int(due/100))
	late, err := h.db.Overdue(ctx, 2*h.MaxLateness, bound)
	return len(late) >= bound, err
}

// cutShort ends a load as soon as it can be: when all fires until an instant are
// planned nothing more is, and what is planned lies within the horizon.
func (s *stage) cutShort(ctx context.Context, l *load, at time.Time) error {
	s.o.say("giving up: too much is overdue")
	for deadline := time.Now().Add(settle); ; {
		left, err := s.db.EndPlanning(ctx, l.firstJob(), l.lastJob(), at)
		if err != nil {
			return err
		}
		if left == 0 {
			l.end = l.within(time.Now().Add(s.o.Horizon + s.o.ScanInterval))
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d jobs of a rate that was given up are still behind with their planning after %v", left,
				settle)
		}
		if !passed(ctx, 250*time.Millisecond) {
			return context.Cause(ctx)
		}
	}
}

// drained waits until a load has ended and nothing is overdue.
func (s *stage) drained(ctx context.Context, l *load) error {
	if err := s.o.wait(ctx, time.Until(l.end), "letting the load end"); err != nil {
		return err
	}
	deadline := time.Now().Add(settle)
	told := s.o.ticker()
	for {
		late, err := s.db.Overdue(ctx, time.Second, 1)
		if err != nil || len(late) == 0 {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("executions are still overdue %v after a rate that was too high", settle)
		}
		told.say("working off what is overdue")
		if !passed(ctx, 250*time.Millisecond) {
			return context.Cause(ctx)
		}
	}
}
