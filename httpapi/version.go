package httpapi

import (
	"cmp"
	"net/http"
	"runtime/debug"

	"github.com/firjob/firjob/internal/tzdata"
)

// VersionInfo names the build.
type VersionInfo struct {
	Version string `json:"version" example:"v1.2.3"`
	Commit  string `json:"commit" doc:"With +changes if the tree was not clean; empty if unknown"`
	Built   string `json:"built" doc:"Time of the commit; empty if unknown"`
	Go      string `json:"go" example:"go1.26.8"`
	TZData  string `json:"tzdata" example:"2025c" doc:"Release of the embedded IANA time zone database, the only one that counts"`
}

// withBuild fills in what the toolchain wrote into the program.
func (v VersionInfo) withBuild() VersionInfo {
	v.TZData = tzdata.Version
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	commit := settings["vcs.revision"]
	if settings["vcs.modified"] == "true" {
		commit += "+changes"
	}
	v.Version = cmp.Or(v.Version, info.Main.Version)
	v.Commit = cmp.Or(v.Commit, commit)
	v.Built = cmp.Or(v.Built, settings["vcs.time"])
	v.Go = cmp.Or(v.Go, info.GoVersion)
	return v
}

func (s *server) version(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, jsonType, http.StatusOK, s.Version)
}
