package capacity

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Count is a number that people write as 100000, 100k or 10M.
type Count float64

// Bytes is a size that people write as 1KB or 1.5GB, in powers of ten.
type Bytes float64

// Span is a duration that people write as Go does, or in days: 30d.
type Span time.Duration

var quantity = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)([A-Za-z]*)$`)

// parse reads a number and its unit.
func parse(text string, units map[string]float64) (float64, bool) {
	m := quantity.FindStringSubmatch(text)
	if m == nil {
		return 0, false
	}
	unit, known := units[m[2]]
	n, err := strconv.ParseFloat(m[1], 64)
	v := n * unit
	return math.Round(v), known && err == nil && !math.IsInf(v, 0) && math.Abs(v-math.Round(v)) < 1e-6*max(1, v)
}

// UnmarshalText reads a whole number, with k, M or G for a thousand, a million, a
// thousand million.
func (c *Count) UnmarshalText(text []byte) error {
	n, ok := parse(string(text), map[string]float64{"": 1, "k": 1e3, "M": 1e6, "G": 1e9})
	if !ok {
		return fmt.Errorf("%q is not a number such as 2500, 100k or 10M", text)
	}
	*c = Count(n)
	return nil
}

// UnmarshalText reads a size with its unit.
func (b *Bytes) UnmarshalText(text []byte) error {
	n, ok := parse(string(text), map[string]float64{"B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12})
	if !ok {
		return fmt.Errorf("%q is not a size such as 0B, 1KB or 1.5MB", text)
	}
	*b = Bytes(n)
	return nil
}

// UnmarshalText reads a duration.
func (s *Span) UnmarshalText(text []byte) error {
	days, isDays := strings.CutSuffix(string(text), "d")
	n, err := strconv.Atoi(days)
	if isDays && err == nil && n >= 0 && n <= 36_500 {
		*s = Span(time.Duration(n) * 24 * time.Hour)
		return nil
	}
	d, err := time.ParseDuration(string(text))
	if err != nil || d < 0 {
		return fmt.Errorf("%q is not a duration such as 50ms, 36h or 30d", text)
	}
	*s = Span(d)
	return nil
}

func (s Span) seconds() float64 { return time.Duration(s).Seconds() }

// MarshalText writes Go's text, in JSON, too.
func (s Span) MarshalText() ([]byte, error) { return []byte(time.Duration(s).String()), nil }
