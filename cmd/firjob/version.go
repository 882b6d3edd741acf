package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"runtime/debug"

	"github.com/firjob/firjob/internal/tzdata"
)

type versionCmd struct {
	Server string `placeholder:"URL" help:"Show the version of this server, too."`
	outputFlag
}

func (versionCmd) Help() string {
	return "Examples:\n\n    firjob version\n    firjob version --server http://127.0.0.1:8080 -o json"
}

// buildVersion names a build, as GET /version does.
type buildVersion struct {
	Version string `json:"version"`
	Commit  string `json:"commit"`
	Built   string `json:"built"` // time of the commit, RFC 3339
	Go      string `json:"go"`
	TZData  string `json:"tzdata,omitempty"` // release of the time zone database; an older server does not say
}

// versionOf reads what the toolchain wrote into the program; info is nil where
// it wrote nothing.
func versionOf(info *debug.BuildInfo) buildVersion {
	if info == nil {
		return buildVersion{Version: "unknown"}
	}
	v := buildVersion{Version: cmp.Or(info.Main.Version, "(devel)"), Go: info.GoVersion}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Commit = s.Value + v.Commit
		case "vcs.time":
			v.Built = s.Value
		case "vcs.modified":
			if s.Value == "true" {
				v.Commit += "+changes"
			}
		}
	}
	return v
}

// programBuild names this build.
func programBuild() buildVersion {
	info, _ := debug.ReadBuildInfo()
	v := versionOf(info)
	v.TZData = tzdata.Version
	return v
}

// programVersion is how this build calls itself to others.
func programVersion() string { return programBuild().Version }

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

func (v buildVersion) text() string {
	text := v.Version
	if v.Commit != "" {
		text += ", commit " + v.Commit
	}
	if v.Built != "" {
		text += " of " + v.Built
	}
	if v.Go != "" {
		text += ", " + v.Go
	}
	if v.TZData != "" {
		text += ", time zones " + v.TZData
	}
	return text
}
