package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/firjob/firjob/lab/checker"
	"github.com/firjob/firjob/lab/labdb"
	"github.com/firjob/firjob/storage"
)

// Run starts a cluster, loads it, does it harm by the schedule of the options,
// lets it recover, and returns what the checker says of all that was seen. What
// it leaves behind lies in o.Dir. An error means that the run itself went wrong
// and shows nothing.
func Run(ctx context.Context, o Options) (*checker.Report, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	f, err := openFolder(o.Dir)
	if err != nil {
		return nil, err
	}
	r := &run{Options: o, folder: f}
	d, err := r.perform(ctx)
	if err = errors.Join(err, f.close()); err != nil {
		return nil, err
	}
	return r.judge(d)
}

// run is one run.
type run struct {
	Options
	folder   *folder
	steps    []Step
	stage    *stage
	recorder *Recorder
}

// perform does the run and returns what the stores held in the end. Everything
// that it started has ended then.
func (r *run) perform(ctx context.Context) (d checker.Dump, err error) {
	log := slog.New(slog.NewTextHandler(r.folder.writer("stores"), &slog.HandlerOptions{Level: slog.LevelDebug}))
	stores, err := openStores(ctx, r.Topology, r.narrow == nil, log)
	if err != nil {
		return d, err
	}
	defer stopping(ctx, &err, stores.stop)
	r.leaveOut(stores.lacking())
	if err := r.plan(); err != nil {
		return d, err
	}
	if r.recorder, err = NewRecorder(r.folder.path("history.jsonl")); err != nil {
		return d, err
	}
	defer stopping(ctx, &err, func(context.Context) error { return r.recorder.Close() })
	if r.stage, err = newStage(ctx, r.Options, stores, r.folder, r.recorder); err != nil {
		return d, err
	}
	defer stopping(ctx, &err, r.stage.stop)
	db, err := labdb.Open(ctx, storage.Options{URL: stores.databaseURL, MaxConns: 4})
	if err != nil {
		return d, err
	}
	defer db.Close()
	return r.loadAndHarm(ctx, db)
}

// leaveOut takes classes out of the run, and tells why.
func (r *run) leaveOut(reasons map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(reasons)) {
		if slices.Contains(r.Classes, name) {
			r.Progress(fmt.Sprintf("without %s: %s", name, reasons[name]))
			r.Classes = slices.DeleteFunc(slices.Clone(r.Classes), func(c string) bool { return c == name })
		}
	}
}

// stopTimeout bounds the end of everything that was started.
const stopTimeout = time.Minute

// stopping stops something also when ctx has ended.
func stopping(ctx context.Context, err *error, stop func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	*err = errors.Join(*err, stop(ctx))
}

// plan makes the schedule of faults, and tells and keeps it.
func (r *run) plan() (err error) {
	if r.narrow != nil {
		r.steps = r.narrow.steps
	} else if r.steps, err = Plan(r.Options); err != nil {
		return err
	}
	return r.folder.create("schedule.txt", func(w io.Writer) error {
		return writeSchedule(io.MultiWriter(w, progressWriter(r.Progress)), r.Options, r.steps)
	})
}

// progressWriter tells each line that is written.
type progressWriter func(line string)

// Write takes whole lines.
func (p progressWriter) Write(text []byte) (int, error) {
	p(string(text[:max(0, len(text)-1)]))
	return len(text), nil
}

// loadAndHarm is the run between the start of the cluster and its end.
func (r *run) loadAndHarm(ctx context.Context, db *labdb.DB) (d checker.Dump, err error) {
	s := r.stage
	s.recorder.Record(checker.Event{Kind: checker.KindRun})
	before, err := r.before(ctx, db)
	if err != nil {
		return d, err
	}
	r.Progress("making the jobs")
	if err := s.load.make(ctx); err != nil {
		return d, err
	}
	if err := r.harm(ctx); err != nil {
		return d, err
	}
	// A little longer than it may take: what the closing pause then supersedes while
	// it is overdue was not just late.
	recovery := r.timers().recovery + 2*checker.Defaults().OnTime
	r.Progress(fmt.Sprintf("all faults are undone; %v to recover", recovery))
	if !passed(ctx, recovery) {
		return d, ctx.Err()
	}
	r.Progress("pausing the jobs and draining")
	if err := errors.Join(s.load.pauseAll(ctx), s.drain(ctx, db)); err != nil {
		return d, err
	}
	if !passed(ctx, r.timers().forgetting()) {
		return d, ctx.Err()
	}
	r.Progress("reading the stores")
	return s.dump(ctx, db, before)
}

// before measures what is used before the load, once every part has been used.
func (r *run) before(ctx context.Context, db *labdb.DB) (map[string]float64, error) {
	if err := r.stage.warmUp(ctx); err != nil {
		return nil, err
	}
	if r.Settle == 0 {
		return nil, nil
	}
	if err := r.stage.drain(ctx, db); err != nil {
		return nil, err
	}
	return r.stage.usage(ctx)
}

// harm keeps the jobs changing while the faults are done.
func (r *run) harm(ctx context.Context) error {
	began := time.Now()
	stop, cancel := context.WithCancel(ctx)
	defer cancel()
	group, groupCtx := errgroup.WithContext(ctx)
	if r.narrow == nil || r.narrow.storm {
		group.Go(func() error { return r.stage.load.storm(groupCtx, stop) })
	}
	group.Go(func() error { r.tell(stop, began); return nil })
	group.Go(func() error {
		defer cancel()
		if err := r.stage.inflict(groupCtx, r.steps, began); err != nil {
			return err
		}
		passed(groupCtx, time.Until(began.Add(r.Duration)))
		return groupCtx.Err()
	})
	return group.Wait()
}

// judge has the checker say what it thinks, and keeps that.
func (r *run) judge(d checker.Dump) (*checker.Report, error) {
	history, err := os.Open(r.folder.path("history.jsonl"))
	if err != nil {
		return nil, err
	}
	defer history.Close()
	events, err := checker.Read(history)
	if err != nil {
		return nil, err
	}
	if err := r.folder.createJSON("dump.json", d); err != nil {
		return nil, err
	}
	report, err := checker.Check(events, d, r.tolerances())
	if err != nil {
		return nil, err
	}
	return report, errors.Join(
		r.folder.create("report.txt", func(w io.Writer) error {
			return errors.Join(report.Write(w), r.folder.explain(w, report))
		}),
		r.folder.create("timeline.svg", func(w io.Writer) error { return checker.Timeline(w, report) }),
	)
}
