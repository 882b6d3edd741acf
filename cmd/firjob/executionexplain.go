package main

import "context"

type executionExplainCmd struct{ executionArg }

func (executionExplainCmd) Help() string {
	return "Example:\n\n    firjob execution explain 019c8e5a-3a00-8000-8000-00000000002a"
}

func (c *executionExplainCmd) Run(ctx context.Context, api *client, out *output) error {
	path, err := c.path(ctx, api, "explain")
	if err != nil {
		return err
	}
	answer, err := api.get(ctx, path, nil)
	if err != nil {
		return err
	}
	return show(out, answer, showExplanation)
}
