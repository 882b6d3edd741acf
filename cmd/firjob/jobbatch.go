package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/firjob/firjob"
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

func (c *jobBatchCmd) Run(ctx context.Context, p *process, api *client, out *output) error {
	jobs, err := readJobs(p, c.File)
	if err != nil {
		return err
	}
	body := object{"jobs": jobs}
	if c.Atomic {
		body["atomic"] = true
	}
	answer, err := api.do(ctx, call{method: "POST", path: "api/v1/jobs:batch", body: body, key: c.IdempotencyKey})
	if err != nil {
		return err
	}
	var made batchAnswer
	if err := json.Unmarshal(answer, &made); err != nil {
		return notUnderstood(err)
	}
	p.warn(answer)
	if err := show(out, answer, showBatch); err != nil {
		return err
	}
	if made.Failed > 0 {
		of := fmt.Sprintf("of %d", len(made.Items))
		return errors.New(counted(made.Failed, of+" jobs was not stored", of+" jobs were not stored"))
	}
	return nil
}

// readJobs reads a file that holds a list of jobs, alone or as the member "jobs".
func readJobs(p *process, name string) (json.RawMessage, error) {
	text, err := p.readFile(name)
	if err != nil {
		return nil, fmt.Errorf("read the jobs: %w", err)
	}
	text = bytes.TrimSpace(text)
	if !json.Valid(text) {
		return nil, usagef("%s does not hold JSON", name)
	}
	if text[0] == '[' {
		return text, nil
	}
	var file struct{ Jobs json.RawMessage }
	if err := json.Unmarshal(text, &file); err != nil || len(file.Jobs) == 0 {
		return nil, usagef("%s holds neither a list of jobs nor one as the member \"jobs\"", name)
	}
	return file.Jobs, nil
}

// batchAnswer is what became of each job of a batch.
type batchAnswer struct {
	Stored, Failed int
	Items          []struct {
		Index int
		Job   *firjob.Job
		Error *problem
	}
}

func showBatch(out *output, made batchAnswer) {
	for _, item := range made.Items {
		if item.Error != nil {
			item.Error.Title = fmt.Sprintf("Job %d of the file", item.Index+1)
			out.lines(item.Error.Error())
		}
	}
	out.line("%s stored.", counted(made.Stored, "job was", "jobs were"))
}
