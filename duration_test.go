package firjob_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/firjob/firjob"
)

func TestDurationJSON(t *testing.T) {
	t.Parallel()
	tests := []struct {
		d    time.Duration
		want string
	}{
		{0, `"0s"`},
		{100 * time.Millisecond, `"100ms"`},
		{30 * time.Second, `"30s"`},
		{5 * time.Minute, `"5m"`},
		{10 * time.Minute, `"10m"`},
		{time.Hour, `"1h"`},
		{time.Hour + 30*time.Second, `"1h0m30s"`},
		{90 * time.Minute, `"1h30m"`},
		{24 * time.Hour, `"24h"`},
		{-time.Minute, `"-1m"`},
	}
	for _, tt := range tests {
		if got, err := json.Marshal(firjob.Duration(tt.d)); err != nil || string(got) != tt.want {
			t.Errorf("%v is written as %s, %v; want %s", tt.d, got, err, tt.want)
		}
	}
	for _, text := range []string{`30`, `"30"`, `"soon"`, `null`, `{}`, `""`} {
		d := firjob.Duration(time.Second)
		if err := json.Unmarshal([]byte(text), &d); err == nil {
			t.Errorf("%s reads as %v, want an error", text, d)
		}
	}
}

func TestFaultyDurations(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"9999999h":              `"9999999h" is too long: a duration is at most 2562047h, and most fields take less`,
		"-9999999h":             "is too long",
		"9999999999999999999ms": "is too long",
		"1.5h2562047h":          "is too long",
		"9999999":               "is not a duration",
		"99999999999x":          "is not a duration",
		"h":                     "is not a duration",
		"":                      "is not a duration",
	} {
		var d firjob.Duration
		if err := d.UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want an error with %q", text, err, want)
		}
	}
}

func TestDurationJSONRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := firjob.Duration(rapid.Int64().Draw(t, "d"))
		text, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		var back firjob.Duration
		if err := json.Unmarshal(text, &back); err != nil || back != d {
			t.Fatalf("%d is written as %s and reads as %d, %v", int64(d), text, int64(back), err)
		}
	})
}

func TestMilliseconds(t *testing.T) {
	t.Parallel()
	for ms, want := range map[float64]string{0: "0s", 7: "7ms", 7.26: "7.3ms", 1500: "1.5s", 2.514344518801e9: "698h25m44.5188s"} {
		if got := firjob.Milliseconds(ms).String(); got != want {
			t.Errorf("%v ms: got %s, want %s", ms, got, want)
		}
	}
}
