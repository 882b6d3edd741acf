package jobs

import (
	"context"
	"strings"

	"github.com/firjob/firjob/cmd/firjob/internal/client"
	"github.com/firjob/firjob/cmd/firjob/internal/console"
)

type jobCreateCmd struct {
	Name string `arg:"" optional:"" help:"Name of the job, unique within the app."`
	App  string `placeholder:"NAME" help:"App whose executors run it."`
	File string `short:"f" placeholder:"FILE" help:"Read the job from JSON as the API takes it (- = standard input), in place of flags."`
	jobFlags
}

func (jobCreateCmd) Help() string {
	return `Examples:

    firjob job create nightly --app billing --handler report --cron "0 2 * * *" --timezone Asia/Shanghai
    firjob job create sync --app billing --handler sync --every 30s --overlap skip
    firjob job create books --app billing --handler books --cron "0 0 18 LW * ?" --dialect quartz --calendar holidays
    firjob job create index --app billing --handler index --every 1m --selector zone=a,gpu=yes --max-running 3
    firjob job create after --app billing --handler after --parent 41 --parent 42:end
    firjob job create call --app billing --http-url https://example.org/run --every 1m
    firjob job create -f job.json`
}

func (c *jobCreateCmd) Run(ctx context.Context, p *console.Process, api *client.Client, out *console.Output) error {
	if err := c.findParents(ctx, api); err != nil {
		return err
	}
	body, err := c.body(p)
	if err != nil {
		return err
	}
	answer, err := api.Post(ctx, "api/v1/jobs", body)
	if err != nil {
		return err
	}
	p.Warn(answer)
	return console.Show(out, answer, showJob)
}

func (c *jobCreateCmd) body(p *console.Process) (any, error) {
	body, err := c.object(p)
	if err != nil {
		return nil, err
	}
	if c.File != "" {
		if len(body) > 0 || c.Name != "" || c.App != "" {
			return nil, console.Usagef("--file is the whole job: give it without other flags")
		}
		return p.ReadJob(c.File)
	}
	if missing := c.missing(body); len(missing) > 0 {
		return nil, console.Usagef("missing: %s", strings.Join(missing, ", "))
	}
	body["name"], body["app"] = c.Name, c.App
	return body, nil
}

// missing lists what every job must have.
func (c *jobCreateCmd) missing(body client.Object) []string {
	var list []string
	if c.Name == "" {
		list = append(list, "<name>")
	}
	if c.App == "" {
		list = append(list, "--app")
	}
	if c.Handler == nil && c.HTTPURL == nil {
		list = append(list, "--handler or --http-url")
	}
	if schedule, _ := body["schedule"].(client.Object); schedule["kind"] == nil {
		list = append(list, "one of --cron, --every, --delay, --at, --manual, --parent")
	}
	return list
}

type jobEditCmd struct {
	client.JobArg
	Name *string `placeholder:"NAME" help:"New name of the job."`
	File string  `short:"f" placeholder:"FILE" help:"Read a JSON merge patch, or a job as \"job get -o json\" prints it (- = standard input), in place of flags."`
	jobFlags
}

func (jobEditCmd) Help() string {
	return `Examples:

    firjob job edit 42 --cron "30 2 * * *" --timeout 10m
    echo '{"timeout": null}' | firjob job edit 42 -f -
    firjob job edit 42 -f job.json`
}

func (c *jobEditCmd) Run(ctx context.Context, p *console.Process, api *client.Client, out *console.Output) error {
	if err := c.findParents(ctx, api); err != nil {
		return err
	}
	body, err := c.body(p)
	if err != nil {
		return err
	}
	path, err := c.Path(ctx, api)
	if err != nil {
		return err
	}
	edit := func([]byte) (any, error) { return body, nil }
	if c.File != "" {
		edit = func(current []byte) (any, error) { return patchOf(body, current) }
	}
	answer, err := api.Edit(ctx, path, edit)
	if err != nil {
		return err
	}
	p.Warn(answer)
	return console.Show(out, answer, showJob)
}

func (c *jobEditCmd) body(p *console.Process) (map[string]any, error) {
	body, err := c.object(p)
	if err != nil {
		return nil, err
	}
	client.Put(body, "name", c.Name)
	switch {
	case c.File != "" && len(body) > 0:
		return nil, console.Usagef("--file is the whole patch: give it without other flags")
	case c.File != "":
		return p.ReadJob(c.File)
	case len(body) == 0:
		return nil, console.Usagef("say what to change, by flags or --file")
	}
	return body, nil
}
