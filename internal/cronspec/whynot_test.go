package cronspec_test

import (
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/cronspec"
)

func TestWhyNot(t *testing.T) {
	t.Parallel()
	const zone = "America/New_York"
	skip := cronspec.Options{Timezone: zone, Gap: firjob.GapSkip}
	once := cronspec.Options{Timezone: zone}
	tests := []struct {
		expr    string
		options cronspec.Options
		at      string
		want    string
	}{
		{"30 2 * * *", once, "2026-03-07T07:30:00Z", ""},
		{"30 2 * * *", once, "2026-03-07T07:30:01Z", cronspec.NotNamed},
		{"30 2 * * *", once, "2026-03-08T07:00:00Z", ""}, // moved to the end of the gap
		{"30 2 * * *", once, "2026-03-08T07:30:00Z",
			`on 2026-03-08 the clocks of America/New_York skip 02:30: its fire happens at 03:00 ("gap": "run_after")`},
		{"30 2 * * *", skip, "2026-03-08T07:00:00Z", cronspec.NotNamed},
		{"30 2 * * *", skip, "2026-03-08T07:30:00Z",
			`on 2026-03-08 the clocks of America/New_York skip 02:30: its fire does not happen ("gap": "skip")`},
		{"30 3 * * *", skip, "2026-03-08T07:30:00Z", ""},
		{"30 1 * * *", once, "2026-11-01T05:30:00Z", ""},
		{"30 1 * * *", once, "2026-11-01T06:30:00Z",
			`on 2026-11-01 the clocks of America/New_York show 01:30 for the second time ("overlap_hour": "once")`},
		{"30 1 * * *", cronspec.Options{Timezone: zone, OverlapHour: firjob.OverlapTwice}, "2026-11-01T06:30:00Z", ""},
		{"30 1 * * *", cronspec.Options{}, "2026-11-01T06:30:00Z", cronspec.NotNamed},
		{"30 * * * *", skip, "2026-03-08T07:30:00Z", ""},
	}
	for _, tt := range tests {
		at, err := time.Parse(time.RFC3339, tt.at)
		if err != nil {
			t.Fatal(err)
		}
		if got := parse(t, tt.expr, tt.options).WhyNot(at); got != tt.want {
			t.Errorf("%q %+v at %s:\ngot  %q\nwant %q", tt.expr, tt.options, tt.at, got, tt.want)
		}
	}
}
