package executions

import (
	"context"

	"github.com/firjob/firjob/cmd/firjob/internal/client"
	"github.com/firjob/firjob/cmd/firjob/internal/console"
	"github.com/firjob/firjob/cmd/firjob/internal/view"
)

type executionExplainCmd struct{ client.ExecutionArg }

func (executionExplainCmd) Help() string {
	return "Example:\n\n    firjob execution explain 019c8e5a-3a00-8000-8000-00000000002a"
}

func (c *executionExplainCmd) Run(ctx context.Context, api *client.Client, out *console.Output) error {
	path, err := c.Path(ctx, api, "explain")
	if err != nil {
		return err
	}
	answer, err := api.Get(ctx, path, nil)
	if err != nil {
		return err
	}
	return console.Show(out, answer, view.Explanation)
}
