package main

import (
	"context"
	"net/url"
)

type jobExplainCmd struct {
	jobArg
	zoneFlag
	At written `required:"" placeholder:"TIME" help:"The instant, such as 2027-01-01T02:00:00+08:00; to the second it means every fire within that second."`
}

func (jobExplainCmd) Help() string {
	return "Example:\n\n    firjob job explain 42 --at 2026-11-22T02:00:00+08:00"
}

func (c *jobExplainCmd) Run(ctx context.Context, api *client, out *output) error {
	path, err := c.path(ctx, api, "explain")
	if err != nil {
		return err
	}
	answer, err := api.get(ctx, path, url.Values{"at": {string(c.At)}})
	if err != nil {
		return err
	}
	return show(out, answer, showExplanation)
}
