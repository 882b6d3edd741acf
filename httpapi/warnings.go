package httpapi

import (
	"context"
	"fmt"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/internal/timetable"
)

// warner finds what a reader may get wrong about jobs. It asks for the executors of
// an app once, however many jobs of the app there are.
type warner struct {
	server    *server
	now       time.Time
	executors map[string][]ports.ExecutorView
}

func (s *server) warner(now time.Time) *warner {
	return &warner{s, now, map[string][]ports.ExecutorView{}}
}

// of returns the warnings of a stored job, nil if there is none.
func (w *warner) of(ctx context.Context, j firjob.Job) []string {
	var list []string
	timetable, err := timetable.Of(j, anchorOf(j, w.now))
	if err != nil {
		list = append(list, "it fires no more: "+err.Error())
	} else {
		list = timetable.Warnings(w.now)
	}
	if why := w.nobody(ctx, j); why != "" {
		list = append(list, why)
	}
	return list
}

// anchorOf returns a point that the fires of an "every" are counted from.
func anchorOf(j firjob.Job, now time.Time) time.Time {
	if j.Schedule.Kind == firjob.ScheduleEvery && j.NextFireAt != nil {
		return gridPoint(*j.NextFireAt, j.Schedule.Interval.Std(), now)
	}
	return now
}

// nobody says that no live executor can take what j fires, "" if one can, or if
// that is not known.
func (w *warner) nobody(ctx context.Context, j firjob.Job) string {
	if j.HTTP != nil {
		return ""
	}
	live, known := w.executors[j.App]
	if !known {
		var err error
		if live, err = w.server.Scheduler.Executors(ctx, j.App, ports.ExecutorFilter{}); err != nil {
			return "" // the job is stored, whatever is known of executors
		}
		w.executors[j.App] = live
	}
	alive := false
	for _, e := range live {
		if e.Live && e.Fits(j.Selector) {
			return ""
		}
		alive = alive || e.Live
	}
	if alive {
		return "no live executor of app " + j.App + " has the labels of the selector: executions wait until one has"
	}
	return fmt.Sprintf("no executor of app %s is alive: executions wait until one starts", j.App)
}
