package jobs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/cmd/firjob/internal/client"
	"github.com/firjob/firjob/cmd/firjob/internal/console"
)

type jobBatchCmd struct {
	File           string `short:"f" required:"" placeholder:"FILE" help:"A JSON list of jobs as the API takes them, or {\"jobs\": [...]} (- = standard input)."`
	Atomic         bool   `help:"Store all or none."`
	IdempotencyKey string `placeholder:"KEY" help:"Makes a repeat of this command harmless."`
}

func (jobBatchCmd) Help() string {
	return `Example:

    firjob job batch -f jobs.json --atomic`
}

func (c *jobBatchCmd) Run(ctx context.Context, p *console.Process, api *client.Client, out *console.Output) error {
	jobs, err := readJobs(p, c.File)
	if err != nil {
		return err
	}
	body := client.Object{"jobs": jobs}
	if c.Atomic {
		body["atomic"] = true
	}
	answer, err := api.Do(ctx, client.Call{Method: "POST", Path: "api/v1/jobs:batch", Body: body,
		Key: c.IdempotencyKey})
	if err != nil {
		return err
	}
	var made batchAnswer
	if err := json.Unmarshal(answer, &made); err != nil {
		return console.NotUnderstood(err)
	}
	p.Warn(answer)
	if err := console.Show(out, answer, showBatch); err != nil {
		return err
	}
	if made.Failed > 0 {
		of := fmt.Sprintf("of %d", len(made.Items))
		return errors.New(console.Counted(made.Failed, of+" jobs was not stored", of+" jobs were not stored"))
	}
	return nil
}

// readJobs reads a file that holds a list of jobs, alone or as the member "jobs".
func readJobs(p *console.Process, name string) (json.RawMessage, error) {
	text, err := p.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read the jobs: %w", err)
	}
	text = bytes.TrimSpace(text)
	if !json.Valid(text) {
		return nil, console.Usagef("%s does not hold JSON", name)
	}
	if text[0] == '[' {
		return text, nil
	}
	var file struct{ Jobs json.RawMessage }
	if err := json.Unmarshal(text, &file); err != nil || len(file.Jobs) == 0 {
		return nil, console.Usagef("%s holds neither a list of jobs nor one as the member \"jobs\"", name)
	}
	return file.Jobs, nil
}

// batchAnswer is what became of each job of a batch.
type batchAnswer struct {
	Stored, Failed int
	Items          []struct {
		Index int
		Job   *firjob.Job
		Error *client.Problem
	}
}

func showBatch(out *console.Output, made batchAnswer) {
	for _, item := range made.Items {
		if item.Error != nil {
			item.Error.Title = fmt.Sprintf("Job %d of the file", item.Index+1)
			out.Lines(item.Error.Error())
		}
	}
	out.Line("%s stored.", console.Counted(made.Stored, "job was", "jobs were"))
}
