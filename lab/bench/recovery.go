package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/cluster"
	"github.com/firjob/firjob/lab/checker"
)

// Recovery is a load under which processes are killed.
type Recovery struct {
	Rate     int           // executions due each second
	Interval time.Duration // of each job
	Hold     time.Duration // how long each handler runs
	Kills    int           // of executors, and as many of servers
	Down     time.Duration // from a kill to the start of the process at its old address
}

// Fault is one kill.
type Fault struct {
	Kind        string  `json:"kind"`   // "executor" or "server"
	Target      string  `json:"target"` // as in "worker-2"
	Interrupted int     `json:"interrupted"`
	RecoveryMS  float64 `json:"recovery_ms"`
	at          time.Time
	pid         int
}

// The kinds of faults.
const (
	faultExecutor = "executor"
	faultServer   = "server"
)

// MeasureRecovery measures how soon the work of a process that was killed runs
// elsewhere.
//
// Of each kill it looks at every execution that was due before the process came
// back and had not ended when it was killed. The recovery is the longest time from
// the kill, or from the scheduled instant if that is later, to the start of the
// handler that brought the execution to its end.
func MeasureRecovery(ctx context.Context, o Options, c Recovery) (*Report, error) {
	inFlight := float64(c.Rate) * c.Hold.Seconds()
	err := must(
		condition{c.Rate > 0, "rate", c.Rate, "must be 1 or more"},
		condition{c.Interval >= time.Millisecond, "interval", c.Interval.String(), "must be 1ms or more"},
		condition{c.Hold >= 0, "hold", c.Hold.String(), "must be 0s or more"},
		condition{c.Kills > 0, "kills", c.Kills, "must be 1 or more"},
		condition{c.Down > 0, "down", c.Down.String(), "must be above 0s"},
		condition{o.Servers > 1, "servers", o.Servers, "must be 2 or more: one goes on while another is dead"},
		condition{o.Workers > 1, "workers", o.Workers, "must be 2 or more: one goes on while another is dead"},
		condition{inFlight <= 0.8*float64((o.Workers-1)*o.Concurrency), "hold", c.Hold.String(),
			fmt.Sprintf("times --rate makes %.0f handlers at a time, too many for %d executor(s) with --concurrency %d",
				inFlight, o.Workers-1, o.Concurrency)},
	)
	if err != nil {
		return nil, err
	}
	settings := map[string]any{"rate": c.Rate, "interval": firjob.Duration(c.Interval), "hold": firjob.Duration(c.Hold),
		"kills": c.Kills, "down": firjob.Duration(c.Down)}
	return o.repeat(ctx, "recovery", settings, func(ctx context.Context) (Run, error) { return o.recovery(ctx, c) })
}

func (o Options) recovery(ctx context.Context, c Recovery) (run Run, err error) {
	dir, err := os.MkdirTemp("", "firjob-bench-history-")
	if err != nil {
		return run, err
	}
	defer os.RemoveAll(dir)
	history := filepath.Join(dir, "history")
	o.WorkerEnv = append([]string{"FIRJOB_HISTORY=" + history}, o.WorkerEnv...)
	err = o.onStage(ctx, func(s *stage) error {
		l := &load{name: "bench", handler: sleep, params: map[string]any{"for": c.Hold.String()}, interval: c.Interval}
		if err := s.warmUp(ctx, l, jobsFor(c.Rate, c.Interval)); err != nil {
			return err
		}
		m := span{from: time.Now().Truncate(time.Millisecond), before: s.usage()}
		faults, err := s.kill(ctx, c)
		if err != nil {
			return err
		}
		m.until, m.after = time.Now().Truncate(time.Millisecond), s.usage()
		if run, err = s.measured(ctx, l, m); err != nil {
			return err
		}
		run.CPUSeconds, run.CPUPerExecution = nil, 0 // what the dead have used is not known
		return run.addFaults(faults, history, c.Down)
	})
	return run, err
}

// kill kills executors and servers in turn and starts them again.
func (s *stage) kill(ctx context.Context, c Recovery) (faults []Fault, err error) {
	for i := range c.Kills {
		for _, victim := range []struct {
			kind string
			p    *cluster.Process
		}{{faultExecutor, s.Workers[i%len(s.Workers)]}, {faultServer, s.Servers[i%len(s.Servers)]}} {
			if err := s.o.wait(ctx, max(2*time.Second, c.Hold), "letting it run"); err != nil {
				return nil, err
			}
			s.o.say("kill %d of %d: %s", len(faults)+1, 2*c.Kills, victim.p.Name)
			f := Fault{Kind: victim.kind, Target: victim.p.Name, at: time.Now(), pid: victim.p.PID()}
			if err := victim.p.Kill(); err != nil {
				return nil, err
			}
			if err := s.o.wait(ctx, c.Down, "leaving it dead"); err != nil {
				return nil, err
			}
			if err := s.revive(ctx, victim.p, victim.kind); err != nil {
				return nil, err
			}
			faults = append(faults, f)
		}
	}
	return faults, nil
}

func (s *stage) revive(ctx context.Context, p *cluster.Process, kind string) error {
	if err := p.Start(); err != nil {
		return err
	}
	if kind == faultServer {
		return s.AwaitReady(ctx, p)
	}
	return s.awaitExecutors(ctx)
}

// addFaults adds what the executors' history says of each fault.
func (r *Run) addFaults(faults []Fault, history string, down time.Duration) error {
	file, err := os.Open(history)
	if err != nil {
		return fmt.Errorf("read the executors' history: %w", err)
	}
	defer file.Close()
	events, err := checker.Read(file)
	if err != nil {
		return err
	}
	lives := livesOf(events)
	recovered := map[string][]float64{}
	for _, f := range faults {
		f.judge(lives, down)
		r.Faults = append(r.Faults, f)
		recovered[f.Kind] = append(recovered[f.Kind], f.RecoveryMS)
	}
	r.Figures = map[string]float64{}
	for kind, ms := range recovered {
		r.Figures[kind+"_recovery_median_ms"] = middle(ms)
		r.Figures[kind+"_recovery_max_ms"] = quantile(ms, 1)
	}
	return nil
}

// life is what the handlers of one execution did.
type life struct {
	starts []checker.Event
	end    time.Time // of the handler that ended well first; zero: none did
	token  int64     // of that handler
}

func livesOf(events []checker.Event) map[firjob.ExecutionID]*life {
	lives := make(map[firjob.ExecutionID]*life)
	for _, e := range events {
		l := lives[e.Execution]
		if l == nil {
			l = &life{}
			lives[e.Execution] = l
		}
		switch {
		case e.Kind == checker.KindStart:
			l.starts = append(l.starts, e)
		case e.Kind == checker.KindEnd && e.Phase == checker.PhaseOK && l.end.IsZero():
			l.end, l.token = e.Wall, e.Token
		}
	}
	return lives
}

// judge finds what the fault interrupted and when all of that ran again.
func (f *Fault) judge(lives map[firjob.ExecutionID]*life, down time.Duration) {
	for id, l := range lives {
		due := id.ScheduledAt()
		if due.After(f.at.Add(down)) || !l.end.IsZero() && l.end.Before(f.at) {
			continue
		}
		for _, start := range l.starts {
			if start.PID == f.pid && start.Wall.Before(f.at) {
				f.Interrupted++
				break
			}
		}
		for _, start := range l.starts {
			if start.Token == l.token && !start.Wall.Before(f.at) {
				from := f.at
				if due.After(from) {
					from = due
				}
				f.RecoveryMS = max(f.RecoveryMS, float64(start.Wall.Sub(from))/float64(time.Millisecond))
				break
			}
		}
	}
}
