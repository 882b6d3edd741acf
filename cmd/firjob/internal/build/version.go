package build

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/firjob/firjob/cmd/firjob/internal/client"
	"github.com/firjob/firjob/cmd/firjob/internal/console"
)

type Cmd struct {
	Server string `placeholder:"URL" help:"Show the version of this server, too."`
	console.OutputFlag
}

func (Cmd) Help() string {
	return "Examples:\n\n    firjob version\n    firjob version --server http://127.0.0.1:8080 -o json"
}

// versions is what the command shows.
type versions struct {
	Info
	Server *Info `json:"server,omitempty"`
}

func (c *Cmd) Run(ctx context.Context, p *console.Process, out *console.Output) error {
	v := versions{Info: programBuild()}
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
	return console.Show(out, answer, func(out *console.Output, v versions) {
		out.Field("firjob", v.text())
		if v.Server != nil {
			out.Field("server", v.Server.text())
		}
	})
}

// versionOfServer asks a server. It needs no token.
func versionOfServer(ctx context.Context, p *console.Process, server string) (*Info, error) {
	api, err := (&client.Connection{Server: server}).ProvideClient(p)
	if err != nil {
		return nil, err
	}
	answer, err := api.Do(ctx, client.Call{Method: http.MethodGet, Path: "version"})
	if err != nil {
		return nil, err
	}
	var v Info
	if err := json.Unmarshal(answer, &v); err != nil {
		return nil, console.NotUnderstood(err)
	}
	return &v, nil
}
