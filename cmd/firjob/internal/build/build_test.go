package build

import (
	"runtime/debug"
	"testing"
)

func TestVersionOfBuild(t *testing.T) {
	t.Parallel()
	info := &debug.BuildInfo{GoVersion: "go1.26.8", Main: debug.Module{Version: "v1.2.3"}, Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.time", Value: "2026-11-01T00:00:00Z"}, {Key: "vcs.modified", Value: "true"}}}
	tests := []struct {
		info *debug.BuildInfo
		want Info
	}{
		{info, Info{"v1.2.3", "abc+changes", "2026-11-01T00:00:00Z", "go1.26.8", ""}},
		{&debug.BuildInfo{GoVersion: "go1.26.8"}, Info{Version: "(devel)", Go: "go1.26.8"}},
		{nil, Info{Version: "unknown"}},
	}
	for _, tt := range tests {
		if got := versionOf(tt.info); got != tt.want {
			t.Errorf("versionOf(%v) = %+v, want %+v", tt.info, got, tt.want)
		}
	}
}
