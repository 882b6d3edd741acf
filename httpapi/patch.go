package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/validate"
)

// jobPatch is a jobInput of which any part may be left out. It exists for the
// OpenAPI document; what is decoded is the whole job after the patch.
type jobPatch struct{}

// TransformSchema returns a jobInput's schema without what a whole job must have.
func (jobPatch) TransformSchema(r huma.Registry, _ *huma.Schema) *huma.Schema {
	patch := *r.Schema(reflect.TypeFor[jobInput](), false, "")
	schedule := *r.Schema(reflect.TypeFor[scheduleInput](), false, "")
	patch.Required, schedule.Required = nil, nil
	patch.Properties = maps.Clone(patch.Properties)
	patch.Properties["schedule"] = &schedule
	return &patch
}

func (s *server) editJob(ctx context.Context, in *jobRequest) (*tagged[jobBody], error) {
	patch, err := parseBody(in.RawBody)
	if err != nil {
		return nil, err
	}
	return s.changeJob(ctx, firjob.JobID(in.ID), in.IfMatch, func(now time.Time, j *firjob.Job) error {
		edited, err := s.patched(*j, patch, now)
		if err == nil {
			*j = edited
		}
		return err
	})
}

// patched returns the job that j becomes by a merge patch. The shape is judged
// of the patch, for j itself has no faults; the meaning of the result as a
// whole, like that of a new job, but for what j had before: years that are over
// by now are no fault of a patch that changes the timeout. Params that the patch
// does not name stay as they were written, to the byte.
func (s *server) patched(j firjob.Job, patch json.RawMessage, now time.Time) (firjob.Job, error) {
	f := &faults{}
	judge[jobInput](s, patch, f)
	fields, _ := numbersKept(patch).(map[string]any)
	whole, err := merged(inputOfJob(j), fields)
	if err != nil {
		return j, err
	}
	to := fill[jobInput](whole, f).job(f)
	if _, named := fields["params"]; !named {
		to.Params = j.Params
	}
	to.ID, to.Version, to.NextFireAt = j.ID, j.Version, j.NextFireAt
	to.CreatedAt, to.UpdatedAt = j.CreatedAt, j.UpdatedAt
	if !to.Enabled {
		to.PausedReason = j.PausedReason
	}
	f.also(validate.NewFaults(validate.Job(j, now), validate.Job(to, now)))
	f.unchanged("app", j.App, to.App, "make a new job")
	return to, f.err()
}

// patchedCalendar does the same for a calendar.
func (s *server) patchedCalendar(c firjob.Calendar, patch json.RawMessage) (firjob.Calendar, error) {
	f := &faults{}
	judge[calendarInput](s, patch, f)
	fields, _ := numbersKept(patch).(map[string]any)
	whole, err := merged(inputOfCalendar(c), fields)
	if err != nil {
		return c, err
	}
	to := fill[calendarInput](whole, f).calendar()
	to.Version, to.CreatedAt, to.UpdatedAt = c.Version, c.CreatedAt, c.UpdatedAt
	f.also(validate.NewFaults(validate.Calendar(c), validate.Calendar(to)))
	f.unchanged("name", c.Name, to.Name, "make a new calendar")
	return to, f.err()
}

// unchanged finds fault with another value of a field that cannot change.
func (f *faults) unchanged(field, old, edited, instead string) {
	if edited != old {
		f.also([]firjob.FieldError{
			{Field: field, Value: edited, Message: fmt.Sprintf("cannot change from %q: %s", old, instead)}})
	}
}

// merged returns the JSON of in after a patch.
func merged(in any, patch map[string]any) (json.RawMessage, error) {
	text, err := json.Marshal(in)
	if err != nil {
		return nil, fmt.Errorf("write what is to be patched: %w", err)
	}
	base := numbersKept(text)
	startAfresh(base, patch)
	var whole bytes.Buffer
	enc := json.NewEncoder(&whole)
	enc.SetEscapeHTML(false) // params may be full of <, and are bounded
	if err := enc.Encode(mergePatch(base, patch)); err != nil {
		return nil, fmt.Errorf("write what was patched: %w", err)
	}
	return whole.Bytes(), nil
}

// startAfresh empties the schedule of a job whose patch brings one of another
// kind: an expression has no place in a schedule of kind "every". What leaves
// instants out or puts them off stays, where the new kind knows it.
func startAfresh(job any, patch map[string]any) {
	schedule, _ := patch["schedule"].(map[string]any)
	base := job.(map[string]any)
	old, ok := base["schedule"].(map[string]any)
	if !ok || schedule["kind"] == nil || schedule["kind"] == old["kind"] {
		return
	}
	fresh := map[string]any{}
	for _, name := range sharedFields(schedule["kind"]) {
		if v, there := old[name]; there {
			fresh[name] = v
		}
	}
	if fresh["calendars"] != nil {
		fresh["timezone"] = old["timezone"] // in which they are read
	}
	base["schedule"] = fresh
}

// sharedFields names the fields that a kind of schedule has in common with others.
func sharedFields(kind any) []string {
	switch kind {
	case string(firjob.ScheduleCron), string(firjob.ScheduleEvery):
		return []string{"start_at", "end_at", "calendars", "jitter"}
	case string(firjob.ScheduleDelay):
		return []string{"start_at", "end_at", "calendars"}
	}
	return nil
}

// mergePatch is MergePatch of RFC 7396, section 2. Objects of target are reused.
func mergePatch(target, patch any) any {
	fields, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	object, ok := target.(map[string]any)
	if !ok {
		object = map[string]any{}
	}
	for name, v := range fields {
		if v == nil {
			delete(object, name)
		} else {
			object[name] = mergePatch(object[name], v)
		}
	}
	return object
}
