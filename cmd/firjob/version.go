package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

type versionCmd struct {
	Server string `placeholder:"URL" help:"Show the version of this server, too."`
	outputFlag
}

func (versionCmd) Help() string {
	return "Examples:\n\n    firjob version\n    firjob version --server http://127.0.0.1:8080 -o json"
}

// versions is what the command shows.
type versions struct {
	buildVersion
	Server *buildVersion `json:"server,omitempty"`
}

func (c *versionCmd) Run(ctx context.Context, p *process, out *output) error {
	v := versions{buildVersion: programBuild()}
	if c.Server != "" {
		served, err := versionOfServer(ctx, p, c.Server)
		if err != nil {
			return err
		}
		v.Server = served
	}
	answer, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write the version: %w", err)
	}
	return show(out, answer, func(out *output, v versions) {
		out.field("firjob", v.text())
		if v.Server != nil {
			out.field("server", v.Server.text())
		}
	})
}

// versionOfServer asks a server, which tells everybody.
func versionOfServer(ctx context.Context, p *process, server string) (*buildVersion, error) {
	api, err := (&connection{Server: server}).ProvideClient(p)
	if err != nil {
		return nil, err
	}
	answer, err := api.do(ctx, call{method: http.MethodGet, path: "version"})
	if err != nil {
		return nil, err
	}
	var v buildVersion
	if err := json.Unmarshal(answer, &v); err != nil {
		return nil, notUnderstood(err)
	}
	return &v, nil
}
