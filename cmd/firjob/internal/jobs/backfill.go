package jobs

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/cmd/firjob/internal/client"
	"github.com/firjob/firjob/cmd/firjob/internal/console"
	"github.com/firjob/firjob/internal/ports"
)

// jobBackfillCmd runs fires of the past.
type jobBackfillCmd struct {
	console.ZoneFlag

	Start  backfillStartCmd  `cmd:"" help:"Run the fires of a past range."`
	List   backfillListCmd   `cmd:"" help:"List the backfills of a job, the latest first."`
	Get    backfillGetCmd    `cmd:"" help:"Show how far a backfill has come."`
	Cancel backfillCancelCmd `cmd:"" help:"Cancel a backfill and its executions that have not ended."`
}

type backfillStartCmd struct {
	client.JobArg
	From       console.Past `required:"" placeholder:"TIME|DURATION" help:"The first instant of the range, or how long ago that was."`
	Until      console.Past `required:"" placeholder:"TIME|DURATION" help:"The end of the range; a fire at this instant does not count."`
	Newest     bool         `help:"The newest fire first; the oldest by default."`
	MaxRunning *int         `placeholder:"N" help:"How many run at a time; 1 by default."`
	Params     *string      `placeholder:"JSON|@FILE" help:"What the handler gets, in place of the job's own."`
	DryRun     bool         `help:"Only count the fires."`
}

func (backfillStartCmd) Help() string {
	return `Examples:

    firjob job backfill start 42 --from 2026-11-20T00:00:00Z --until 2026-11-21T00:00:00Z --dry-run
    firjob job backfill start 42 --from 24h --until 1h --newest --max-running 4`
}

func (c *backfillStartCmd) Run(ctx context.Context, p *console.Process, api *client.Client, out *console.Output) error {
	body := client.Object{"from": c.From.Query(), "until": c.Until.Query()}
	if c.Newest {
		body["order"] = "newest_first"
	}
	client.Put(body, "max_running", c.MaxRunning)
	if c.Params != nil {
		params, err := p.Params(*c.Params)
		if err != nil {
			return err
		}
		body["params"] = params
	}
	path, err := c.Path(ctx, api, "backfill")
	if err != nil {
		return err
	}
	answer, err := api.Do(ctx, client.Call{Method: http.MethodPost, Path: path, Query: client.DryRun(c.DryRun),
		Body: body})
	if err != nil {
		return err
	}
	return console.Show(out, answer, func(out *console.Output, b backfillView) {
		if c.DryRun {
			out.Line("It would run %s, from %s to %s; nothing was stored.", console.Counted(b.Fires, "fire", "fires"),
				out.Stamp(&b.First), out.Stamp(&b.Last))
			return
		}
		showBackfill(out, b)
	})
}

// backfillView is a backfill as the API shows it.
type backfillView struct {
	ID         ports.BackfillID `json:"id"`
	JobID      firjob.JobID     `json:"job_id"`
	From       time.Time        `json:"from"`
	Until      time.Time        `json:"until"`
	Order      string           `json:"order"`
	MaxRunning int              `json:"max_running"`
	State      string           `json:"state"`
	Fires      int              `json:"fires"`
	First      time.Time        `json:"first"`
	Last       time.Time        `json:"last"`
	Recorded   int              `json:"recorded"`
	Open       int              `json:"open"`
	Succeeded  int              `json:"succeeded"`
	Failed     int              `json:"failed"`
	CreatedAt  time.Time        `json:"created_at"`
	FinishedAt *time.Time       `json:"finished_at"`
}

func showBackfill(out *console.Output, b backfillView) {
	out.Field("Backfill", fmt.Sprint(b.ID))
	out.Field("Job", fmt.Sprint(b.JobID))
	out.Field("State", b.State)
	out.Field(out.At("From"), out.When(&b.From))
	out.Field(out.At("Until"), out.When(&b.Until))
	out.Field("Order", fmt.Sprintf("%s, %d at a time", b.Order, b.MaxRunning))
	out.Field("Fires", fmt.Sprint(b.Fires))
	out.Field("Recorded", fmt.Sprintf("%d: %d open, %d succeeded, %d not", b.Recorded, b.Open, b.Succeeded, b.Failed))
	out.Field(out.At("Made"), out.When(&b.CreatedAt))
	out.Field(out.At("Ended"), out.When(b.FinishedAt))
}

// backfillArg names a backfill.
type backfillArg struct {
	ID ports.BackfillID `arg:"" help:"Number of the backfill."`
}

func (a backfillArg) path() string { return fmt.Sprintf("api/v1/backfills/%d", a.ID) }

type backfillListCmd struct {
	client.JobArg
	Limit console.Limit `default:"100" help:"How many at most; 0 = all."`
}

func (backfillListCmd) Help() string { return "Example:\n\n    firjob job backfill list 42" }

func (c *backfillListCmd) Run(ctx context.Context, api *client.Client, out *console.Output) error {
	path, err := c.Path(ctx, api, "backfills")
	if err != nil {
		return err
	}
	answer, err := api.List(ctx, path, url.Values{}, int(c.Limit))
	if err != nil {
		return err
	}
	return console.ShowList(out, answer, "The job has no backfills.",
		[]string{"ID", "STATE", out.At("FROM"), out.At("UNTIL"), "FIRES", "RECORDED", out.At("MADE")},
		func(out *console.Output, b backfillView) []string {
			return []string{fmt.Sprint(b.ID), b.State, out.Time(&b.From), out.Time(&b.Until),
				fmt.Sprint(b.Fires), fmt.Sprint(b.Recorded), out.When(&b.CreatedAt)}
		})
}

type backfillGetCmd struct{ backfillArg }

func (backfillGetCmd) Help() string { return "Example:\n\n    firjob job backfill get 7" }

func (c *backfillGetCmd) Run(ctx context.Context, api *client.Client, out *console.Output) error {
	answer, err := api.Get(ctx, c.path(), nil)
	if err != nil {
		return err
	}
	return console.Show(out, answer, showBackfill)
}

type backfillCancelCmd struct{ backfillArg }

func (backfillCancelCmd) Help() string { return "Example:\n\n    firjob job backfill cancel 7" }

func (c *backfillCancelCmd) Run(ctx context.Context, api *client.Client, out *console.Output) error {
	answer, err := api.Post(ctx, c.path()+"/cancel", nil)
	if err != nil {
		return err
	}
	return console.Show(out, answer, showBackfill)
}
