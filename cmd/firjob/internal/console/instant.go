package console

import (
	"fmt"
	"reflect"
	"time"

	"github.com/alecthomas/kong"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/cmd/firjob/internal/instant"
)

// TimeFormat is how people see an instant.
const TimeFormat = instant.Layout

// apiTime is how the API writes an instant.
const apiTime = "2006-01-02T15:04:05.000Z07:00"

// Moment is a flag that holds a time, in any of the forms of instant.Forms.
type Moment time.Time

// MarshalText writes the time as the API does.
func (m Moment) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// String returns the time as the API writes it.
func (m Moment) String() string { return time.Time(m).UTC().Format(apiTime) }

// Past is a flag that holds a time, or how long ago that was.
type Past time.Time

// Query returns the time as the API takes it.
func (p Past) Query() string { return Moment(p).String() }

// Written is a flag that holds a time as it was written: how finely that is
// counts. Local times become RFC 3339.
type Written string

// TimeFlags are the readers of flags that hold a time: they need the clock and the
// zone of the process.
func (p *Process) TimeFlags() []kong.Option {
	return []kong.Option{
		timeFlag(func(text string) (Moment, error) {
			at, err := p.Clock().Parse(text)
			return Moment(at), err
		}),
		timeFlag(p.readPast),
		timeFlag(func(text string) (Written, error) {
			if _, err := time.Parse(time.RFC3339, text); err == nil {
				return Written(text), nil
			}
			at, err := p.Clock().Point(text)
			return Written(at.Format(time.RFC3339)), err
		}),
	}
}

// pastForms are those of instant.Forms that are of use for the past.
const pastForms = `"2027-01-01 09:00", "yesterday 09:00", 2027-01-01T00:00:00Z`

// readPast reads either form.
func (p *Process) readPast(text string) (Past, error) {
	var ago firjob.Duration
	if ago.UnmarshalText([]byte(text)) != nil || ago == 0 {
		at, err := p.Clock().Point(text)
		if err != nil {
			return Past{}, fmt.Errorf("%q is neither a time such as %s nor how long ago, such as 2h", text, pastForms)
		}
		return Past(at), nil
	}
	if ago < 0 {
		return Past{}, fmt.Errorf("%q is negative: write how long ago without a minus, as in %v", text, -ago)
	}
	return Past(p.Now().Add(-ago.Std())), nil
}

// timeFlag makes kong read flags of a type by a function. Otherwise kong takes -5m for
// a flag, and suggests --since=-5m, which is wrong as well.
func timeFlag[T any](read func(string) (T, error)) kong.Option {
	return kong.TypeMapper(reflect.TypeFor[T](),
		kong.MapperFunc(func(command *kong.DecodeContext, target reflect.Value) error {
			var text string
			if next := command.Scan.Peek(); next.InferredType() == kong.ShortFlagToken {
				text = next.String()
				command.Scan.Pop()
			} else if err := command.Scan.PopValueInto("time", &text); err != nil {
				return err
			}
			value, err := read(text)
			if err == nil {
				target.Set(reflect.ValueOf(value))
			}
			return err
		}))
}

// Span is the flag for a duration.
type Span = firjob.Duration
