package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/firjob/firjob"
)

type jobTriggerCmd struct {
	jobArg
	zoneFlag
	Params         *string `placeholder:"JSON|@FILE" help:"What the handler gets, in place of the job's own."`
	At             *moment `placeholder:"TIME" xor:"later" help:"When, such as \"2027-01-01 09:00\", \"tomorrow 09:00 Asia/Shanghai\", 5m; now by default."`
	In             *span   `placeholder:"DURATION" xor:"later" help:"How long from now."`
	IdempotencyKey string  `placeholder:"KEY" help:"Makes a repeat of this command harmless."`
	Wait           bool    `help:"Follow the execution to its end; exit 1 unless it succeeded."`
}

func (jobTriggerCmd) Help() string {
	return `Examples:

    firjob job trigger 42 --params '{"region": "eu"}' --wait
    firjob job trigger 42 --in 10m`
}

func (c *jobTriggerCmd) Run(ctx context.Context, p *process, api *client, out *output) error {
	body, err := c.body(p)
	if err != nil {
		return err
	}
	path, err := c.path(ctx, api, "trigger")
	if err != nil {
		return err
	}
	answer, err := api.do(ctx, call{method: http.MethodPost, path: path, body: body, key: c.IdempotencyKey})
	if err != nil {
		return err
	}
	if c.Wait {
		return wait(ctx, p, api, out, answer)
	}
	return show(out, answer, showExecution)
}

func (c *jobTriggerCmd) body(p *process) (object, error) {
	o := object{}
	if c.Params != nil {
		params, err := p.params(*c.Params)
		if err != nil {
			return nil, err
		}
		o["params"] = params
	}
	put(o, "at", c.At)
	put(o, "delay", c.In)
	return o, nil
}

// wait follows the execution in answer until it is final and shows it. People
// see its changes as they happen.
func wait(ctx context.Context, p *process, api *client, out *output, answer []byte) error {
	f := follower{api: api, notes: p.stdout}
	if out.json {
		f.notes = p.stderr
	}
	last, err := f.follow(ctx, answer)
	if err != nil {
		return err
	}
	if out.json {
		if err := out.writeJSON(last); err != nil {
			return err
		}
	}
	if e := f.seen; e.State != firjob.StateSucceeded {
		return fmt.Errorf("execution %v ended as %s", e.ID, stateText(e))
	}
	return nil
}
