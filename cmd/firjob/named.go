package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/cmd/firjob/internal/pick"
)

// jobRef names a job: by its number, app/name, or a name that only one app has.
type jobRef string

// UnmarshalText reads the name.
func (r *jobRef) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		return errors.New("want the number of a job, or app/name")
	}
	*r = jobRef(text)
	return nil
}

func (r jobRef) find(ctx context.Context, api *client) (firjob.JobID, error) {
	return pick.Job(ctx, api.list, string(r))
}

// jobArg names one job.
type jobArg struct {
	Job jobRef `arg:"" help:"Number of the job, or app/name."`
}

// path returns the job's path, or that of what is below it.
func (a jobArg) path(ctx context.Context, api *client, below ...string) (string, error) {
	id, err := a.Job.find(ctx, api)
	return jobPath(id, below...), err
}

func jobPath(id firjob.JobID, below ...string) string {
	return strings.Join(append([]string{"api/v1/jobs", fmt.Sprint(id)}, below...), "/")
}

// executionRef names an execution by its id, or the beginning of it.
type executionRef string

var beginsID = regexp.MustCompile(`^[0-9A-Fa-f-]{6,36}$`)

// UnmarshalText reads the id, or its beginning.
func (r *executionRef) UnmarshalText(text []byte) error {
	if !beginsID.Match(text) {
		return fmt.Errorf("%q is not an execution id, nor the first 6 or more hexadecimal digits of one", text)
	}
	*r = executionRef(text)
	return nil
}

func (r executionRef) find(ctx context.Context, api *client) (firjob.ExecutionID, error) {
	return pick.Execution(ctx, api.list, string(r))
}

// executionArg names one execution.
type executionArg struct {
	ID executionRef `arg:"" help:"Id of the execution, or enough of its beginning."`
}

// path returns the execution's path, or that of what is below it.
func (a executionArg) path(ctx context.Context, api *client, below ...string) (string, error) {
	id, err := a.ID.find(ctx, api)
	return executionPath(id, below...), err
}

func executionPath(id firjob.ExecutionID, below ...string) string {
	return strings.Join(append([]string{"api/v1/executions", id.String()}, below...), "/")
}

// appName is an argument that names an app. What makes a good name, the server
// says.
type appName string

// Validate is kong's hook.
func (n appName) Validate() error {
	if n == "" {
		return errors.New("want the name of an app")
	}
	return nil
}

func appPath(name appName) string { return "api/v1/apps/" + url.PathEscape(string(name)) }
