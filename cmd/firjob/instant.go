package main

import (
	"fmt"
	"time"

	"github.com/alecthomas/kong"

	"github.com/firjob/firjob"
)

// timeFormat is how people see an instant, in UTC.
const timeFormat = "2006-01-02 15:04:05"

// apiTime is how the API writes an instant.
const apiTime = "2006-01-02T15:04:05.000Z07:00"

// instant is a flag that holds a time as RFC 3339 writes it.
type instant time.Time

// UnmarshalText reads the time.
func (i *instant) UnmarshalText(text []byte) error {
	at, err := time.Parse(time.RFC3339, string(text))
	if err != nil {
		return fmt.Errorf("%q is not a time such as 2027-01-01T00:00:00Z", text)
	}
	*i = instant(at)
	return nil
}

// MarshalText writes the time as the API does.
func (i instant) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// String returns the time as the API writes it.
func (i instant) String() string { return time.Time(i).UTC().Format(apiTime) }

// past is a flag that holds a time, or how long ago that was.
type past struct {
	at  instant
	ago firjob.Duration
}

// Decode is kong's hook. Of itself kong takes -5m for a flag, and tells people to
// write --since=-5m, which is wrong as well.
func (p *past) Decode(command *kong.DecodeContext) error {
	var text string
	if next := command.Scan.Peek(); next.InferredType() == kong.ShortFlagToken {
		text = next.String()
	} else if err := command.Scan.PopValueInto("time", &text); err != nil {
		return err
	}
	return p.read(text)
}

// read reads either form.
func (p *past) read(text string) error {
	long := p.ago.UnmarshalText([]byte(text)) == nil
	switch {
	case long && p.ago > 0, p.at.UnmarshalText([]byte(text)) == nil:
		return nil
	case long && p.ago < 0:
		return fmt.Errorf("%q is below 0: how long ago goes without a minus, as in %v", text, -p.ago)
	}
	return fmt.Errorf("%q is neither a time such as 2027-01-01T00:00:00Z nor how long ago, such as 2h", text)
}

// query returns the time as the API takes it.
func (p past) query(now time.Time) string {
	if p.ago != 0 {
		return instant(now.Add(-p.ago.Std())).String()
	}
	return p.at.String()
}

// when shows an instant in UTC and from now; "" for none.
func (out *output) when(at *time.Time) string {
	if at == nil || at.IsZero() {
		return ""
	}
	return at.UTC().Format(timeFormat) + " (" + relative(at.Sub(out.now)) + ")"
}

// relative says how far an instant is from now.
func relative(d time.Duration) string {
	switch {
	case d >= time.Second:
		return "in " + roughly(d)
	case d <= -time.Second:
		return roughly(-d) + " ago"
	}
	return "now"
}

// roughly cuts a duration of a second or more to its two largest units.
func roughly(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm %ds", d/time.Minute, d%time.Minute/time.Second)
	case d < day:
		return fmt.Sprintf("%dh %dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd %dh", d/day, d%day/time.Hour)
}
