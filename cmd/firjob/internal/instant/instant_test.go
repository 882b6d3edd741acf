package instant_test

import (
	"testing"
	"time"

	"github.com/firjob/firjob/cmd/firjob/internal/instant"
)

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func TestParse(t *testing.T) {
	t.Parallel()
	// 23:30 of the 21st in New York, 04:30 of the 22nd in UTC.
	c := instant.Clock{Now: time.Date(2026, 11, 22, 4, 30, 0, 0, time.UTC), Zone: zone(t, "America/New_York")}
	for text, want := range map[string]string{
		"2027-01-01T00:00:00Z":           "2027-01-01T00:00:00Z",
		"2027-01-01T08:00:00+08:00":      "2027-01-01T00:00:00Z",
		"2027-01-01 09:00":               "2027-01-01T14:00:00Z",
		"2027-07-01 09:00:30":            "2027-07-01T13:00:30Z",
		"2027-01-01T09:00":               "2027-01-01T14:00:00Z",
		"2027-01-01":                     "2027-01-01T05:00:00Z",
		"2027-01-01 09:00 Asia/Shanghai": "2027-01-01T01:00:00Z",
		"2027-01-01 09:00 +02:00":        "2027-01-01T07:00:00Z",
		"tomorrow 09:00":                 "2026-11-22T14:00:00Z",
		"tomorrow 09:00 UTC":             "2026-11-23T09:00:00Z",
		"today 09:00 Asia/Tokyo":         "2026-11-22T00:00:00Z",
		"yesterday":                      "2026-11-20T05:00:00Z",
		"08:15":                          "2026-11-21T13:15:00Z",
		"now":                            "2026-11-22T04:30:00Z",
		"5m":                             "2026-11-22T04:35:00Z",
	} {
		at, err := c.Parse(text)
		if got := at.UTC().Format(time.RFC3339); err != nil || got != want {
			t.Errorf("%q is %s, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "tomorrow 9 o'clock", "2027-13-01", "2027-01-01 09:00 Mars/Olympus", "09:00 10:00", "monday",
		"2027-03-14 02:30", "2027-01-01 25:00", "Local", "5", "UTC"} {
		if at, err := c.Parse(text); err == nil {
			t.Errorf("%q is %v, want an error", text, at)
		}
	}
}

// A zone that nobody knows is named as such.
func TestParseNamesAnUnknownZone(t *testing.T) {
	t.Parallel()
	c := instant.Clock{Now: time.Date(2026, 11, 22, 4, 30, 0, 0, time.UTC), Zone: time.UTC}
	_, err := c.Parse("tomorrow 09:00 Mars/Olympus")
	if want := `"Mars/Olympus" is not a known time zone such as Asia/Shanghai`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// What a heading says of the zone holds for all times below it that do not say otherwise.
func TestTextInAZone(t *testing.T) {
	t.Parallel()
	winter, summer := time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC), time.Date(2027, 7, 1, 6, 0, 0, 0, time.UTC)
	for name, want := range map[string][3]string{
		"UTC":              {"X (UTC)", "2026-11-22 06:00:00", "2027-07-01 06:00:00"},
		"Asia/Shanghai":    {"X (+08:00)", "2026-11-22 14:00:00", "2027-07-01 14:00:00"},
		"America/New_York": {"X (-05:00)", "2026-11-22 01:00:00", "2027-07-01 02:00:00 -04:00"},
	} {
		c := instant.Clock{Now: winter, Zone: zone(t, name)}
		if got := [3]string{c.Heading("X"), c.Text(winter), c.Text(summer)}; got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

func TestSpan(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0s", 1234 * time.Nanosecond: "1µs", 1240 * time.Microsecond: "1.2ms", 345678 * time.Microsecond: "346ms",
		1254 * time.Millisecond: "1.25s", 12340 * time.Millisecond: "12.3s", 125 * time.Second: "2m 5s", -time.Second: "-1s",
		2514344 * time.Second: "29d 2h", 59990 * time.Millisecond: "1m", time.Hour: "1h",
	} {
		if got := instant.Span(d); got != want {
			t.Errorf("Span(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestRelative(t *testing.T) {
	t.Parallel()
	tests := []struct {
		d    time.Duration
		want string
	}{
		{0, "now"},
		{-999 * time.Millisecond, "now"},
		{12 * time.Second, "in 12s"},
		{-10 * time.Minute, "10m ago"},
		{5*time.Minute - 30*time.Millisecond, "in 5m"},
		{-59*time.Minute - 59900*time.Millisecond, "1h ago"},
		{24*time.Hour - time.Second, "in 1d"},
		{119*time.Second + 400*time.Millisecond, "in 1m 59s"},
		{100 * time.Minute, "in 1h 40m"},
		{-time.Hour, "1h ago"},
		{49 * time.Hour, "in 2d 1h"},
	}
	for _, tt := range tests {
		if got := instant.Relative(tt.d); got != tt.want {
			t.Errorf("Relative(%v) = %q, want %q", tt.d, got, tt.want)
		}
	}
}
