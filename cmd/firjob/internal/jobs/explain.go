package jobs

import (
	"context"
	"net/url"

	"github.com/firjob/firjob/cmd/firjob/internal/client"
	"github.com/firjob/firjob/cmd/firjob/internal/console"
	"github.com/firjob/firjob/cmd/firjob/internal/view"
)

type jobExplainCmd struct {
	client.JobArg
	console.ZoneFlag
	At console.Written `required:"" placeholder:"TIME" help:"The instant, such as 2027-01-01T02:00:00+08:00. Without a fraction it means every fire within that second."`
}

func (jobExplainCmd) Help() string {
	return "Example:\n\n    firjob job explain 42 --at 2026-11-22T02:00:00+08:00"
}

func (c *jobExplainCmd) Run(ctx context.Context, api *client.Client, out *console.Output) error {
	path, err := c.Path(ctx, api, "explain")
	if err != nil {
		return err
	}
	answer, err := api.Get(ctx, path, url.Values{"at": {string(c.At)}})
	if err != nil {
		return err
	}
	return console.Show(out, answer, view.Explanation)
}
