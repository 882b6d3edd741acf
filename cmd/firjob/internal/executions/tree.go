package executions

import (
	"context"
	"fmt"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/cmd/firjob/internal/client"
	"github.com/firjob/firjob/cmd/firjob/internal/console"
	"github.com/firjob/firjob/cmd/firjob/internal/table"
	"github.com/firjob/firjob/cmd/firjob/internal/view"
)

type executionTreeCmd struct{ client.ExecutionArg }

func (executionTreeCmd) Help() string {
	return "Example:\n\n    firjob execution tree 019c8e5a-3a00-8000-8000-00000000002a"
}

func (c *executionTreeCmd) Run(ctx context.Context, api *client.Client, out *console.Output) error {
	path, err := c.Path(ctx, api, "tree")
	if err != nil {
		return err
	}
	answer, err := api.Get(ctx, path, nil)
	if err != nil {
		return err
	}
	return console.Show(out, answer, func(out *console.Output, t tree) {
		out.Page.Head(table.Column{Title: "JOB", Cut: true}, table.Column{Title: "STATE"},
			table.Column{Title: "TOOK", Right: true},
			table.Column{Title: "ID"}, table.Column{Title: "REASON", Optional: true, Note: true})
		t.rows(out, "", "")
		if t.Cut {
			out.Line("The tree is larger. This is its beginning.")
		}
	})
}

// tree is an execution and what it led to, as the API shows it.
type tree struct {
	Cut       bool             `json:"cut"`
	Execution firjob.Execution `json:"execution"`
	Children  []tree           `json:"children"`
	NotRun    []struct {
		JobID  firjob.JobID `json:"job_id"`
		Job    string       `json:"job"`
		Reason string       `json:"reason"`
	} `json:"not_run"`
}

// rows writes a row for the execution and those for what it led to: own is drawn
// before its name, below before those of its children.
func (t tree) rows(out *console.Output, own, below string) {
	e := t.Execution
	out.Row(own+e.App+"/"+e.Job, view.ProgressText(e), view.SinceText(out, e), e.ID.String(), e.Reason)
	last := len(t.Children) + len(t.NotRun) - 1
	for i, child := range t.Children {
		if i == last {
			child.rows(out, below+"└─ ", below+"   ")
		} else {
			child.rows(out, below+"├─ ", below+"│  ")
		}
	}
	for i, n := range t.NotRun {
		line := "├─ "
		if len(t.Children)+i == last {
			line = "└─ "
		}
		out.Row(below+line+n.Job, "not run", "", fmt.Sprintf("job %d", n.JobID), n.Reason)
	}
}
