package httpapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/internal/validate"
)

// jobNumber is a job's number as a parameter; huma would cut a larger one to
// the 32 bits of a firjob.JobID.
type jobNumber int64

// maxJobNumber is the largest of Postgres's integer.
const maxJobNumber = math.MaxInt32

// TransformSchema adds the bounds.
func (jobNumber) TransformSchema(_ huma.Registry, s *huma.Schema) *huma.Schema {
	s.Minimum, s.Maximum = new(1.0), new(float64(maxJobNumber))
	s.Description, s.Examples = "A job's number", []any{42}
	return s
}

// jobRequest names a job and brings a body.
type jobRequest struct {
	ID      jobNumber `path:"id"`
	IfMatch string    `header:"If-Match" doc:"The ETag of what is to be changed, or *" example:"\"3\""`
	RawBody []byte
}

type jobDelete struct {
	ID      jobNumber `path:"id"`
	IfMatch string    `header:"If-Match" doc:"The ETag of what is to be changed, or *" example:"\"3\""`
}

func locationOfJob(id firjob.JobID) string { return fmt.Sprintf("/api/v1/jobs/%d", id) }

func (s *server) routeJobs() {
	input := reflect.TypeFor[jobInput]()
	register(s, operation{id: "create-job", method: http.MethodPost, path: "/jobs", tag: "Jobs",
		summary: "Make a job", created: true, body: input}, s.createJob)
	register(s, operation{id: "list-jobs", method: http.MethodGet, path: "/jobs", tag: "Jobs",
		summary: "List jobs, by number"}, s.listJobs)
	register(s, operation{id: "get-job", method: http.MethodGet, path: "/jobs/{id}", tag: "Jobs",
		summary: "Show a job"}, s.getJob)
	register(s, operation{id: "edit-job", method: http.MethodPatch, path: "/jobs/{id}", tag: "Jobs",
		summary: "Change a job",
		description: "A JSON merge patch (RFC 7396): fields that are absent stay, null restores the default. " +
			"A schedule of a new kind starts empty, and lists are replaced as a whole. With a new schedule the " +
			"planned executions " +
			"of the old one are superseded; every other change counts for them, too. If-Match is required.",
		body: reflect.TypeFor[jobPatch]()}, s.editJob)
	register(s, operation{id: "delete-job", method: http.MethodDelete, path: "/jobs/{id}", tag: "Jobs",
		summary: "Delete a job",
		description: "Planned executions are superseded; history stays. Refused while it triggers other jobs. " +
			"If-Match is required."}, s.deleteJob)
	register(s, operation{id: "pause-job", method: http.MethodPost, path: "/jobs/{id}/pause", tag: "Jobs",
		summary:     "Pause a job",
		description: "A job that is paused stays as it is, with its reason, unless another reason is given.",
		body:        reflect.TypeFor[pauseInput](), bodyOptional: true}, s.pauseJob)
	register(s, operation{id: "resume-job", method: http.MethodPost, path: "/jobs/{id}/resume", tag: "Jobs",
		summary: "Resume a job", description: "Fires that passed while it was paused are not made up for.",
		body: reflect.TypeFor[pauseInput](), bodyOptional: true}, s.resumeJob)
}

func (s *server) createJob(ctx context.Context, in *struct{ RawBody []byte }) (*createdTagged[jobBody], error) {
	body, err := parseBody(in.RawBody)
	if err != nil {
		return nil, err
	}
	f := &faults{}
	job := decode[jobInput](s, body, f).job(f)
	f.also(validate.Job(job, time.Now()))
	if err := s.withUnknownApp(ctx, f, job.App).err(); err != nil {
		return nil, err
	}
	job, err = s.Store.CreateJob(ctx, job)
	if err != nil {
		return nil, fmt.Errorf("create job: %w", err)
	}
	if s.soon(job) {
		s.Scheduler.JobChanged(ctx, job.ID)
	}
	now := time.Now()
	made := bodyOfNewJob(job, now)
	made.Warnings = s.warner(now).of(ctx, job)
	return &createdTagged[jobBody]{Location: locationOfJob(job.ID), ETag: entityTag(job.Version), Body: made}, nil
}

// soon reports whether a job that was just made fires within the horizon, by the
// store's clock. Of others there is nothing to plan yet, and the scan finds them in
// time.
func (s *server) soon(made firjob.Job) bool {
	return made.NextFireAt != nil && made.NextFireAt.Before(made.CreatedAt.Add(s.Scheduler.Horizon()))
}

// withUnknownApp adds the one fault that only the store knows of, if the job has
// others: a good one is refused by the store itself.
func (s *server) withUnknownApp(ctx context.Context, f *faults, app string) *faults {
	if len(f.list) > 0 {
		if _, err := s.Store.AppAuthHash(ctx, app); firjob.CodeOf(err) == firjob.CodeNotFound {
			f.add("app", app, "is not a known app: make it first")
		}
	}
	return f
}

type jobQuery struct {
	App       string `query:"app" doc:"Jobs of this app"`
	Name      string `query:"name" doc:"The job of exactly this name; one in each app"`
	Query     string `query:"q" doc:"Jobs with this in their name or handler, case ignored"`
	Enabled   string `query:"enabled" enum:"true,false" doc:"Jobs that are on, or paused"`
	Kind      string `query:"kind" enum:"cron,every,delay,at,manual" doc:"Jobs whose schedule is of this kind"`
	Route     string `query:"route" enum:"round_robin,random,least_busy,least_recently_used,least_frequently_used,consistent_hash,first,last,failover,sticky,broadcast" doc:"Jobs with this route"`
	Calendar  string `query:"calendar" doc:"Jobs whose schedule names this calendar"`
	Parent    int64  `query:"parent" minimum:"1" maximum:"2147483647" doc:"Jobs that this one triggers"`
	Last      bool   `query:"last" doc:"Show the last end of each job, too"`
	PageSize  int    `query:"page_size" minimum:"1" maximum:"500" default:"50"`
	PageToken string `query:"page_token" doc:"next_page_token of the page before"`
}

func (s *server) listJobs(ctx context.Context, in *jobQuery) (*answer[list[jobBody]], error) {
	filter := ports.JobFilter{App: in.App, Name: in.Name, Query: in.Query, Kind: firjob.ScheduleKind(in.Kind),
		Route:    firjob.Route(in.Route),
		Calendar: in.Calendar, Parent: firjob.JobID(in.Parent), PageSize: in.PageSize}
	if in.Enabled != "" {
		filter.Enabled = new(in.Enabled == "true")
	}
	var err error
	if filter.After, err = jobOfToken(in.PageToken); err != nil {
		return nil, err
	}
	jobs, next, err := s.Store.Jobs(ctx, filter)
	if err != nil {
		return nil, fmt.Errorf("list jobs: %w", err)
	}
	out := &answer[list[jobBody]]{list[jobBody]{Items: []jobBody{}, NextPageToken: tokenOfJob(next)}}
	now := time.Now()
	for _, j := range jobs {
		out.Body.Items = append(out.Body.Items, bodyOfJob(j, now))
	}
	if in.Last {
		err = s.addLastEnds(ctx, out.Body.Items)
	}
	return out, err
}

// addLastEnds shows how each of the jobs ended last.
func (s *server) addLastEnds(ctx context.Context, jobs []jobBody) error {
	ids := make([]firjob.JobID, len(jobs))
	for i, j := range jobs {
		ids[i] = j.ID
	}
	ends, err := s.Store.LastEnds(ctx, ids)
	if err != nil {
		return fmt.Errorf("read the last ends of jobs: %w", err)
	}
	for i := range jobs {
		if end, ok := ends[jobs[i].ID]; ok {
			jobs[i].Last = &lastEndBody{ID: end.ID, ScheduledAt: instant(end.ID.ScheduledAt()), State: end.State,
				Reason: end.Reason, FinishedAt: instant(end.FinishedAt)}
		}
	}
	return nil
}

type jobGet struct {
	ID   jobNumber `path:"id"`
	Last bool      `query:"last" doc:"Show the last end, too"`
}

func (s *server) getJob(ctx context.Context, in *jobGet) (*tagged[jobBody], error) {
	job, _, err := s.Store.Job(ctx, firjob.JobID(in.ID))
	if err != nil {
		return nil, fmt.Errorf("read job %d: %w", in.ID, err)
	}
	out := s.taggedJob(ctx, job)
	if in.Last {
		list := []jobBody{out.Body}
		err = s.addLastEnds(ctx, list)
		out.Body = list[0]
	}
	return out, err
}

// taggedJob shows one job, with its warnings.
func (s *server) taggedJob(ctx context.Context, j firjob.Job) *tagged[jobBody] {
	now := time.Now()
	body := bodyOfJob(j, now)
	body.Warnings = s.warner(now).of(ctx, j)
	return &tagged[jobBody]{ETag: entityTag(j.Version), Body: body}
}

func (s *server) deleteJob(ctx context.Context, in *jobDelete) (*struct{}, error) {
	followed, err := s.Store.DeleteJob(ctx, firjob.JobID(in.ID),
		func(j firjob.Job) error { return checkMatch(in.IfMatch, j.Version) })
	if err != nil {
		return nil, fmt.Errorf("delete job %d: %w", in.ID, err)
	}
	s.follow(ctx, followed)
	return nil, nil
}

// pauseInput says why. It is kept for a pause and ignored by a resume.
type pauseInput struct {
	Reason *string `json:"reason,omitempty" maxLength:"200" doc:"Why, for whoever looks at the job" example:"upstream is down"`
}

func (s *server) pauseJob(ctx context.Context, in *jobRequest) (*tagged[jobBody], error) {
	reason, err := s.pauseReason(in.RawBody)
	if err != nil {
		return nil, err
	}
	return s.changeJob(ctx, firjob.JobID(in.ID), cmp.Or(in.IfMatch, anyVersion),
		func(_ time.Time, j *firjob.Job) error {
			if !j.Enabled && (reason == "" || reason == j.PausedReason) {
				return errUnchanged
			}
			j.Enabled, j.PausedReason = false, reason
			return nil
		})
}

func (s *server) resumeJob(ctx context.Context, in *jobRequest) (*tagged[jobBody], error) {
	if _, err := s.pauseReason(in.RawBody); err != nil {
		return nil, err
	}
	return s.changeJob(ctx, firjob.JobID(in.ID), cmp.Or(in.IfMatch, anyVersion),
		func(_ time.Time, j *firjob.Job) error {
			if j.Enabled {
				return errUnchanged
			}
			j.Enabled, j.PausedReason = true, ""
			return nil
		})
}

func (s *server) pauseReason(raw []byte) (string, error) {
	body, err := parseBody(raw)
	if err != nil {
		return "", err
	}
	f := &faults{}
	in := decode[pauseInput](s, body, f)
	if in.Reason == nil {
		return "", f.err()
	}
	if len(*in.Reason) > firjob.MaxName || !printable(*in.Reason) {
		f.add("reason", nil, fmt.Sprintf("must have at most %d bytes, all printable", firjob.MaxName))
	}
	return strings.TrimSpace(*in.Reason), f.err()
}

// errUnchanged is what an edit returns that leaves the job as it is.
var errUnchanged = errors.New("the job is as it was asked for")

// changeJob edits a job in the store, if it is of the version that match names,
// then tells the scheduler.
func (s *server) changeJob(ctx context.Context, id firjob.JobID, match string,
	edit func(now time.Time, j *firjob.Job) error) (*tagged[jobBody], error) {
	var old firjob.Job
	job, followed, err := s.Store.UpdateJob(ctx, id, func(now time.Time, j *firjob.Job) error {
		if err := checkMatch(match, j.Version); err != nil {
			return err
		}
		old = *j
		return edit(now, j)
	})
	switch {
	case errors.Is(err, errUnchanged):
		return s.taggedJob(ctx, old), nil
	case err != nil:
		return nil, fmt.Errorf("change job %d: %w", id, err)
	}
	followed.Plan = []firjob.JobID{id} // no other's fires change
	s.follow(ctx, followed)
	return s.taggedJob(ctx, job), nil
}
