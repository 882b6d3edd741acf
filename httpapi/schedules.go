package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/timetable"
	"github.com/firjob/firjob/internal/validate"
)

// Bounds of how many fires are foretold at once.
const (
	defaultFires = 10
	maxFires     = 100
)

func (s *server) routeSchedules() {
	register(s, operation{id: "preview-schedule", method: http.MethodPost, path: "/schedules/preview", tag: "Schedules",
		summary: "Foretell what a schedule would do", body: reflect.TypeFor[previewInput]()}, s.preview)
	register(s, operation{id: "next-fires", method: http.MethodGet, path: "/jobs/{id}/next", tag: "Schedules",
		summary: "Foretell a job's coming fires", description: "A paused job has none."}, s.nextFires)
}

type previewInput struct {
	Schedule *scheduleInput `json:"schedule,omitempty" required:"true"`
	Count    *int           `json:"count,omitempty" minimum:"1" maximum:"100" default:"10"`
	App      *string        `json:"app,omitempty" doc:"With name: the job that jitter and H are drawn for" example:"billing"`
	Name     *string        `json:"name,omitempty" example:"nightly-report"`
	From     *string        `json:"from,omitempty" format:"date-time" doc:"Fires after this instant; now if absent" example:"2027-03-28T00:00:00Z"`
	At       *string        `json:"at,omitempty" format:"date-time" doc:"An instant to be told about in why_not"`
}

type previewBody struct {
	Fires    []instant `json:"fires" nullable:"false" doc:"The coming fires, as far as time alone decides them"`
	Warnings []string  `json:"warnings" nullable:"false" doc:"What a reader may get wrong about the schedule"`
	Text     string    `json:"text" doc:"The schedule in English" example:"at 02:00:00, in Asia/Shanghai"`
	WhyNot   *string   `json:"why_not,omitempty" doc:"Which rule keeps the asked instant from being a fire; empty if it is one"`
}

func (s *server) preview(ctx context.Context, in *struct{ RawBody []byte }) (*answer[previewBody], error) {
	body, err := parseBody(in.RawBody)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	asked, err := s.previewOf(ctx, body, now)
	if err != nil {
		return nil, err
	}
	timetable, err := timetable.Of(asked.job, asked.from)
	if err != nil {
		return nil, faulty("body.schedule", nil, err.Error())
	}
	out := &answer[previewBody]{previewBody{
		Fires:    fires(timetable, asked.from, asked.count),
		Warnings: append([]string{}, timetable.Warnings(asked.from)...),
		Text:     timetable.Text(),
	}}
	if asked.at != nil {
		out.Body.WhyNot = new(timetable.WhyNot(*asked.at))
	}
	return out, nil
}

// previewed is a schedule, as if it were a job's, and what is asked of it.
type previewed struct {
	job   firjob.Job
	count int
	from  time.Time
	at    *time.Time
}

func (s *server) previewOf(ctx context.Context, body json.RawMessage, now time.Time) (previewed, error) {
	f := &faults{}
	in := decode[previewInput](s, body, f)
	p := previewed{count: defaultFires, from: now}
	put(&p.from, timeOf(in.From, "from", f))
	if in.Schedule != nil {
		p.job.Schedule = in.Schedule.schedule("schedule.", f)
	}
	// of years that are over, the fires may be asked for
	f.also(validate.Schedule(p.job.Schedule, earlier(now, p.from)))
	set(&p.job.App, in.App)
	set(&p.job.Name, in.Name)
	put(&p.count, in.Count)
	if p.count < 1 || p.count > maxFires {
		f.add("count", p.count, fmt.Sprintf("must be 1 to %d", maxFires))
	}
	p.at = timeOf(in.At, "at", f)
	if err := f.err(); err != nil {
		return p, err
	}
	var err error
	if p.job.Calendars, err = s.Store.Calendars(ctx, p.job.Schedule.Calendars); err != nil {
		return p, fmt.Errorf("read the calendars of a schedule: %w", err)
	}
	return p, nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

type nextQuery struct {
	ID    jobNumber `path:"id"`
	Count int       `query:"count" minimum:"1" maximum:"100" default:"10"`
}

type nextBody struct {
	Fires []instant `json:"fires" nullable:"false" doc:"The coming fires, as far as time alone decides them"`
}

func (s *server) nextFires(ctx context.Context, in *nextQuery) (*answer[nextBody], error) {
	job, anchor, err := s.Store.Job(ctx, firjob.JobID(in.ID))
	if err != nil {
		return nil, fmt.Errorf("read job %d: %w", in.ID, err)
	}
	out := &answer[nextBody]{nextBody{Fires: []instant{}}}
	if !job.Enabled {
		return out, nil
	}
	timetable, err := timetable.Of(job, anchor)
	if err != nil {
		return nil, fmt.Errorf("compile the schedule of job %d: %w", in.ID, err)
	}
	now := time.Now()
	out.Body.Fires = fires(timetable, now, in.Count)
	if next := coming(job, now); len(out.Body.Fires) == 0 && !next.IsZero() {
		out.Body.Fires = append(out.Body.Fires, instant(next)) // a delay job's
	}
	return out, nil
}

// fires returns up to n fires after now.
func fires(t *timetable.Timetable, now time.Time, n int) []instant {
	list := []instant{}
	for at := t.Next(now); !at.IsZero() && len(list) < n; at = t.Next(at) {
		list = append(list, instant(at))
	}
	return list
}
