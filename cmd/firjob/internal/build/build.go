// Package build names the version of this program and of servers.
package build

import (
	"cmp"
	"runtime/debug"

	"github.com/firjob/firjob/internal/tzdata"
)

// Info names a build, as GET /version does.
type Info struct {
	Version string `json:"version"`
	Commit  string `json:"commit"`
	Built   string `json:"built"` // time of the commit, RFC 3339
	Go      string `json:"go"`
	TZData  string `json:"tzdata,omitempty"` // release of the time zone database; an older server does not say
}

// versionOf reads what the toolchain wrote into the program; info is nil where
// it wrote nothing.
func versionOf(info *debug.BuildInfo) Info {
	if info == nil {
		return Info{Version: "unknown"}
	}
	v := Info{Version: cmp.Or(info.Main.Version, "(devel)"), Go: info.GoVersion}
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
func programBuild() Info {
	info, _ := debug.ReadBuildInfo()
	v := versionOf(info)
	v.TZData = tzdata.Version
	return v
}

// Version is how this build calls itself to others.
func Version() string { return programBuild().Version }

func (v Info) text() string {
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
