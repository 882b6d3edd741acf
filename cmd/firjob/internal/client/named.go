package client

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

// JobRef names a job: by its number, app/name, or a name that only one app has.
type JobRef string

// UnmarshalText reads the name.
func (r *JobRef) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		return errors.New("want the number of a job, or app/name")
	}
	*r = JobRef(text)
	return nil
}

func (r JobRef) Find(ctx context.Context, api *Client) (firjob.JobID, error) {
	return pick.Job(ctx, api.List, string(r))
}

// JobArg names one job.
type JobArg struct {
	Job JobRef `arg:"" help:"Number of the job, or app/name."`
}

// Path returns the job's path, or that of what is below it.
func (a JobArg) Path(ctx context.Context, api *Client, below ...string) (string, error) {
	id, err := a.Job.Find(ctx, api)
	return JobPath(id, below...), err
}

func JobPath(id firjob.JobID, below ...string) string {
	return strings.Join(append([]string{"api/v1/jobs", fmt.Sprint(id)}, below...), "/")
}

// ExecutionRef names an execution by its id, or the beginning of it.
type ExecutionRef string

var beginsID = regexp.MustCompile(`^[0-9A-Fa-f-]{6,36}$`)

// UnmarshalText reads the id, or its beginning.
func (r *ExecutionRef) UnmarshalText(text []byte) error {
	if !beginsID.Match(text) {
		return fmt.Errorf("%q is not an execution id, nor the first 6 or more hexadecimal digits of one", text)
	}
	*r = ExecutionRef(text)
	return nil
}

func (r ExecutionRef) Find(ctx context.Context, api *Client) (firjob.ExecutionID, error) {
	return pick.Execution(ctx, api.List, string(r))
}

// ExecutionArg names one execution.
type ExecutionArg struct {
	ID ExecutionRef `arg:"" help:"Id of the execution, or the beginning of it."`
}

// Path returns the execution's path, or that of what is below it.
func (a ExecutionArg) Path(ctx context.Context, api *Client, below ...string) (string, error) {
	id, err := a.ID.Find(ctx, api)
	return ExecutionPath(id, below...), err
}

func ExecutionPath(id firjob.ExecutionID, below ...string) string {
	return strings.Join(append([]string{"api/v1/executions", id.String()}, below...), "/")
}

// AppName is an argument that names an app. The server checks its form.
type AppName string

// Validate is kong's hook.
func (n AppName) Validate() error {
	if n == "" {
		return errors.New("want the name of an app")
	}
	return nil
}

func AppPath(name AppName) string { return "api/v1/apps/" + url.PathEscape(string(name)) }
