package jobs

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/cmd/firjob/internal/client"
	"github.com/firjob/firjob/cmd/firjob/internal/console"
)

// jobFilter are the flags that select jobs.
type jobFilter struct {
	App      string        `placeholder:"NAME" help:"Only jobs of this app."`
	Name     string        `placeholder:"NAME" help:"Only jobs of exactly this name. With --app it is fast among millions of jobs."`
	Query    string        `placeholder:"TEXT" help:"Only jobs with this in their name or handler."`
	Enabled  bool          `xor:"enabled" help:"Only jobs that fire."`
	Paused   bool          `xor:"enabled" help:"Only jobs that are paused."`
	Failing  bool          `help:"Only jobs whose latest execution failed, timed out or was lost."`
	Kind     string        `placeholder:"cron|every|delay|at|manual" help:"Only jobs whose schedule is of this kind."`
	Route    string        `placeholder:"ROUTE" help:"Only jobs with this route."`
	Calendar string        `placeholder:"NAME" help:"Only jobs whose schedule names this calendar."`
	Parent   client.JobRef `placeholder:"JOB" help:"Only jobs that this one triggers."`
}

// query returns the filter as the API takes it, without --failing, of which the API
// knows the last end of each job alone.
func (f *jobFilter) query(ctx context.Context, api *client.Client) (url.Values, error) {
	query := url.Values{}
	client.PutQuery(query, "app", f.App)
	client.PutQuery(query, "name", f.Name)
	client.PutQuery(query, "q", f.Query)
	client.PutQuery(query, "kind", f.Kind)
	client.PutQuery(query, "route", f.Route)
	client.PutQuery(query, "calendar", f.Calendar)
	if f.Enabled || f.Paused {
		query.Set("enabled", strconv.FormatBool(f.Enabled))
	}
	if f.Parent != "" {
		id, err := f.Parent.Find(ctx, api)
		if err != nil {
			return nil, err
		}
		query.Set("parent", fmt.Sprint(id))
	}
	return query, nil
}

// find returns up to limit jobs that the filter selects, with their last ends.
func (f *jobFilter) find(ctx context.Context, api *client.Client, limit int) ([]byte, error) {
	query, err := f.query(ctx, api)
	if err != nil {
		return nil, err
	}
	query.Set("last", "true")
	if !f.Failing {
		return api.List(ctx, "api/v1/jobs", query, limit)
	}
	return api.Filtered(ctx, "api/v1/jobs", query, limit, func(item json.RawMessage) (bool, error) {
		var j jobView
		err := json.Unmarshal(item, &j)
		return j.Last.failed(), err
	})
}

// jobView is a job as the API shows it.
type jobView struct {
	firjob.Job
	Last *lastEnd `json:"last"`
}

// lastEnd is how the latest execution of a job ended.
type lastEnd struct {
	ID     firjob.ExecutionID `json:"id"`
	State  firjob.State       `json:"state"`
	Reason string             `json:"reason"`
}

func (e *lastEnd) failed() bool {
	return e != nil && (e.State == firjob.StateFailed || e.State == firjob.StateTimedOut || e.State == firjob.StateLost)
}

func (e *lastEnd) text() string {
	switch {
	case e == nil:
		return ""
	case e.Reason == "":
		return string(e.State)
	}
	return string(e.State) + ": " + e.Reason
}

// jobSelection names jobs, or selects them.
type jobSelection struct {
	Jobs []client.JobRef `arg:"" optional:"" name:"job" help:"Numbers of jobs, or app/name; or flags that select jobs."`
	jobFilter
	console.SeveralFlags
}

// targets returns the jobs that are meant.
func (s *jobSelection) targets(ctx context.Context, api *client.Client) ([]console.Target, error) {
	switch filtered := s.jobFilter != (jobFilter{}); {
	case filtered && len(s.Jobs) > 0:
		return nil, console.Usagef("give jobs or flags that select, not both")
	case !filtered && len(s.Jobs) == 0:
		return nil, console.Usagef("which ones? give jobs, or flags that select them")
	}
	var list []console.Target
	for _, ref := range s.Jobs {
		id, err := ref.Find(ctx, api)
		if err != nil {
			return nil, err
		}
		list = append(list, console.Target{Path: client.JobPath(id), Name: "job " + string(ref)})
	}
	if list != nil {
		return list, nil
	}
	answer, err := s.find(ctx, api, console.MaxTargets+1)
	if err != nil {
		return nil, err
	}
	var found console.Rows[firjob.Job]
	if err := json.Unmarshal(answer, &found); err != nil {
		return nil, console.NotUnderstood(err)
	}
	for _, j := range found.Items {
		list = append(list, console.Target{Path: client.JobPath(j.ID), Name: fmt.Sprintf("%s/%s (%d)", j.App, j.Name,
			j.ID)})
	}
	return list, nil
}

// change does something to each of the jobs.
func (s *jobSelection) change(ctx context.Context, p *console.Process, api *client.Client, out *console.Output,
	c console.Change) error {
	targets, err := s.targets(ctx, api)
	if err != nil {
		return err
	}
	c.One, c.More, c.Single = "job", "jobs", len(s.Jobs) == 1
	return c.Run(ctx, p, out, s.Yes, targets)
}
