package jobs

import (
	"context"
	"fmt"
	"net/http"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/cmd/firjob/internal/client"
	"github.com/firjob/firjob/cmd/firjob/internal/console"
	"github.com/firjob/firjob/cmd/firjob/internal/view"
)

type jobTriggerCmd struct {
	client.JobArg
	console.ZoneFlag
	Params         *string         `placeholder:"JSON|@FILE" help:"What the handler gets, in place of the job's own."`
	At             *console.Moment `placeholder:"TIME" xor:"later" help:"When, such as \"2027-01-01 09:00\", \"tomorrow 09:00 Asia/Shanghai\", 5m; now by default."`
	In             *console.Span   `placeholder:"DURATION" xor:"later" help:"How long from now."`
	IdempotencyKey string          `placeholder:"KEY" help:"Makes a repeat of this command harmless."`
	Wait           bool            `help:"Follow the execution to its end; exit 1 unless it succeeded."`
}

func (jobTriggerCmd) Help() string {
	return `Examples:

    firjob job trigger 42 --params '{"region": "eu"}' --wait
    firjob job trigger 42 --in 10m`
}

func (c *jobTriggerCmd) Run(ctx context.Context, p *console.Process, api *client.Client, out *console.Output) error {
	body, err := c.body(p)
	if err != nil {
		return err
	}
	path, err := c.Path(ctx, api, "trigger")
	if err != nil {
		return err
	}
	answer, err := api.Do(ctx, client.Call{Method: http.MethodPost, Path: path, Body: body, Key: c.IdempotencyKey})
	if err != nil {
		return err
	}
	if c.Wait {
		return wait(ctx, p, api, out, answer)
	}
	return console.Show(out, answer, view.Execution)
}

func (c *jobTriggerCmd) body(p *console.Process) (client.Object, error) {
	o := client.Object{}
	if c.Params != nil {
		params, err := p.Params(*c.Params)
		if err != nil {
			return nil, err
		}
		o["params"] = params
	}
	client.Put(o, "at", c.At)
	client.Put(o, "delay", c.In)
	return o, nil
}

// wait follows the execution in answer until it is final and shows it. People
// see its changes as they happen.
func wait(ctx context.Context, p *console.Process, api *client.Client, out *console.Output, answer []byte) error {
	f := view.Follower{API: api, Notes: p.Stdout, Zone: out.Clock.Zone}
	if out.JSON {
		f.Notes = p.Stderr
	}
	last, err := f.Follow(ctx, answer)
	if err != nil {
		return err
	}
	if out.JSON {
		if err := out.WriteJSON(last); err != nil {
			return err
		}
	}
	if e := f.Seen; e.State != firjob.StateSucceeded {
		return fmt.Errorf("execution %v ended as %s", e.ID, view.StateText(e))
	}
	return nil
}
