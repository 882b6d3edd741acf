package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/firjob/firjob"
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

func (s *server) editJob(ctx context.Context, in *jobRequest) (*answer[jobBody], error) {
	patch, err := parseDocument(in.RawBody)
	if err != nil {
		return nil, err
	}
	return s.changeJob(ctx, firjob.JobID(in.ID), func(now time.Time, j *firjob.Job) error {
		edited, err := s.patched(*j, patch, now)
		if err == nil {
			*j = edited
		}
		return err
	})
}

// patched returns the job that j becomes by a merge patch. The result is judged
// as a whole, like a new job.
func (s *server) patched(j firjob.Job, patch document, now time.Time) (firjob.Job, error) {
	whole, err := merged(inputOfJob(j), patch)
	if err != nil {
		return j, err
	}
	f := &faults{}
	to := decode[jobInput](s, whole, f).job(f)
	f.also(to.Validate(now))
	if to.App != j.App {
		f.also([]firjob.FieldError{{Field: "app", Value: to.App, Message: fmt.Sprintf("cannot change from %q: make a new job", j.App)}})
	}
	if err := f.err(); err != nil {
		return j, err
	}
	to.ID, to.Version, to.NextFireAt = j.ID, j.Version, j.NextFireAt
	to.CreatedAt, to.UpdatedAt = j.CreatedAt, j.UpdatedAt
	if !to.Enabled {
		to.PausedReason = j.PausedReason
	}
	return to, nil
}

// merged returns the JSON of v after a patch. Its shape is the patch's: v itself
// has no faults.
func merged(v any, patch document) (document, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return document{}, fmt.Errorf("write the job to be patched: %w", err)
	}
	base, err := parseDocument(raw)
	if err != nil {
		return document{}, fmt.Errorf("read the job to be patched: %w", err)
	}
	startAfresh(base.value, patch.value)
	raw, err = json.Marshal(mergePatch(base.value, patch.value))
	if err != nil {
		return document{}, fmt.Errorf("write the patched job: %w", err)
	}
	return document{raw: raw, value: patch.value}, nil
}

// startAfresh empties the schedule of a job whose patch brings one of another
// kind: an expression has no place in a schedule of kind "every".
func startAfresh(job, patch any) {
	to, _ := patch.(map[string]any)
	schedule, _ := to["schedule"].(map[string]any)
	base := job.(map[string]any)
	if old, ok := base["schedule"].(map[string]any); ok && schedule["kind"] != nil && schedule["kind"] != old["kind"] {
		base["schedule"] = map[string]any{}
	}
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
