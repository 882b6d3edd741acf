package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"time"

	"github.com/firjob/firjob"
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
}

type previewBody struct {
	Fires    []instant `json:"fires" nullable:"false" doc:"The coming fires, as far as time alone decides them"`
	Warnings []string  `json:"warnings" nullable:"false" doc:"What a reader may get wrong about the schedule"`
	Text     string    `json:"text" doc:"The schedule in English" example:"at 02:00:00, in Asia/Shanghai"`
}

func (s *server) preview(_ context.Context, in *struct{ RawBody []byte }) (*answer[previewBody], error) {
	body, err := parseBody(in.RawBody)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	schedule, count, err := s.previewOf(body, now)
	if err != nil {
		return nil, err
	}
	timetable, err := schedule.Timetable(now)
	if err != nil {
		return nil, faulty("body.schedule", nil, err.Error())
	}
	return &answer[previewBody]{previewBody{
		Fires:    fires(timetable, now, count),
		Warnings: append([]string{}, timetable.Warnings(now)...),
		Text:     timetable.Text(),
	}}, nil
}

func (s *server) previewOf(body json.RawMessage, now time.Time) (firjob.Schedule, int, error) {
	f := &faults{}
	in := decode[previewInput](s, body, f)
	var schedule firjob.Schedule
	if in.Schedule != nil {
		schedule = in.Schedule.schedule("schedule.", f)
	}
	f.also(schedule.Validate(now))
	count := defaultFires
	if in.Count != nil {
		count = *in.Count
	}
	if count < 1 || count > maxFires {
		f.add("count", count, fmt.Sprintf("must be 1 to %d", maxFires))
	}
	return schedule, count, f.err()
}

type nextQuery struct {
	ID    jobNumber `path:"id"`
	Count int       `query:"count" minimum:"1" maximum:"100" default:"10"`
}

type nextBody struct {
	Fires []instant `json:"fires" nullable:"false" doc:"The coming fires, as far as time alone decides them"`
}

func (s *server) nextFires(ctx context.Context, in *nextQuery) (*answer[nextBody], error) {
	job, err := s.Store.Job(ctx, firjob.JobID(in.ID))
	if err != nil {
		return nil, fmt.Errorf("read job %d: %w", in.ID, err)
	}
	out := &answer[nextBody]{nextBody{Fires: []instant{}}}
	if !job.Enabled {
		return out, nil
	}
	anchor, err := s.Store.Anchor(ctx, firjob.JobID(in.ID))
	if err != nil {
		return nil, fmt.Errorf("read the anchor of job %d: %w", in.ID, err)
	}
	timetable, err := job.Schedule.Timetable(anchor)
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
func fires(t *firjob.Timetable, now time.Time, n int) []instant {
	list := []instant{}
	for at := t.Next(now); !at.IsZero() && len(list) < n; at = t.Next(at) {
		list = append(list, instant(at))
	}
	return list
}
