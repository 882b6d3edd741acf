// Package pick finds the jobs and executions that people name: a job by its
// number, its name or app/name, an execution by the beginning of its id.
package pick

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/firjob/firjob"
)

// Lister asks the API for a list, of so many items at most; 0 = all.
type Lister func(ctx context.Context, path string, query url.Values, limit int) ([]byte, error)

// candidates is how many are named where several are meant.
const candidates = 10

// Job returns the number of the job that text names.
func Job(ctx context.Context, list Lister, text string) (firjob.JobID, error) {
	if number, err := strconv.ParseUint(text, 10, 31); err == nil {
		return firjob.JobID(number), nil
	}
	query := url.Values{"name": {text}}
	if app, name, ok := strings.Cut(text, "/"); ok {
		query = url.Values{"app": {app}, "name": {name}}
	}
	found, err := find[firjob.Job](ctx, list, "api/v1/jobs", query)
	switch {
	case err != nil:
		return 0, err
	case len(found) == 1:
		return found[0].ID, nil
	case len(found) == 0:
		return 0, fmt.Errorf("there is no job %q; see \"firjob job list\"", text)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "several jobs are named %q; say which:", text)
	for _, j := range found {
		fmt.Fprintf(&b, "\n  %s/%s  (number %d)", j.App, j.Name, j.ID)
	}
	return 0, fmt.Errorf("%s", b.String())
}

// Execution returns the id that begins with text.
func Execution(ctx context.Context, list Lister, text string) (firjob.ExecutionID, error) {
	if id, err := firjob.ParseExecutionID(text); err == nil {
		return id, nil
	}
	found, err := find[firjob.Execution](ctx, list, "api/v1/executions", url.Values{"id_prefix": {text}})
	switch {
	case err != nil:
		return firjob.ExecutionID{}, err
	case len(found) == 1:
		return found[0].ID, nil
	case len(found) == 0:
		return firjob.ExecutionID{}, fmt.Errorf("there is no execution whose id begins with %q", text)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "several executions have an id that begins with %q; give more of it:", text)
	for i, e := range found {
		if i == candidates {
			b.WriteString("\n  … and more")
			break
		}
		fmt.Fprintf(&b, "\n  %s  %s/%s  %s", e.ID, e.App, e.Job, e.State)
	}
	return firjob.ExecutionID{}, fmt.Errorf("%s", b.String())
}

func find[T any](ctx context.Context, list Lister, path string, query url.Values) ([]T, error) {
	answer, err := list(ctx, path, query, candidates+1)
	if err != nil {
		return nil, err
	}
	var page struct{ Items []T }
	if err := json.Unmarshal(answer, &page); err != nil {
		return nil, fmt.Errorf("read the server's answer: %w", err)
	}
	return page.Items, nil
}
