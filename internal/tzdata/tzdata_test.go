package tzdata_test

import (
	"regexp"
	"testing"
	"time"

	"github.com/firjob/firjob/internal/tzdata"
)

func TestEachNameLoads(t *testing.T) {
	t.Parallel()
	names := tzdata.Names()
	if len(names) < 550 {
		t.Errorf("there are %d zones, want the whole database", len(names))
	}
	for _, name := range names {
		if zone, ok := tzdata.Load(name); !ok || zone.String() != name {
			t.Errorf("Load(%q) = %v, %v", name, zone, ok)
		}
	}
}

func TestKnownOffsets(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]int{"Asia/Shanghai": 8 * 3600, "America/New_York": -5 * 3600, "Asia/Kathmandu": 5*3600 + 45*60} {
		zone, ok := tzdata.Load(name)
		if !ok {
			t.Fatalf("%s is missing", name)
		}
		if _, got := time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC).In(zone).Zone(); got != want {
			t.Errorf("%s is %d s from UTC, want %d", name, got, want)
		}
	}
}

func TestNamesThatAreNone(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "Local", "localtime", "right/Asia/Shanghai", "posix/UTC", "Factory", "asia/shanghai", "Asia/",
		"Asia", "../zoneinfo.zip", "posixrules", "tzdata.zi"} {
		if _, ok := tzdata.Load(name); ok {
			t.Errorf("%q is a zone", name)
		}
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	if !regexp.MustCompile(`^20\d\d[a-z]+$`).MatchString(tzdata.Version) {
		t.Errorf("the version is %q", tzdata.Version)
	}
}
