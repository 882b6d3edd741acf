// Package instant reads and writes instants as people do: with a zone, or in the
// one that they are in.
package instant

import (
	"fmt"
	"strings"
	"time"

	"github.com/firjob/firjob"
)

// Forms names the forms that Parse reads, for errors and help.
const Forms = `"2027-01-01 09:00", "2027-01-01 09:00 Asia/Shanghai", "tomorrow 09:00", "5m" or 2027-01-01T00:00:00Z`

// Clock is what people's times are relative to.
type Clock struct {
	Now  time.Time
	Zone *time.Location
}

// Parse reads an instant. A duration is counted from now.
func (c Clock) Parse(text string) (time.Time, error) {
	var span firjob.Duration
	if span.UnmarshalText([]byte(text)) == nil {
		return c.Now.Add(span.Std()), nil
	}
	return c.Point(text)
}

// Point reads an instant that is not a duration.
func (c Clock) Point(text string) (time.Time, error) {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	words := strings.Fields(text)
	zone := c.Zone
	if n := len(words); n > 1 {
		named, ok := zoneNamed(words[n-1])
		if !ok && strings.Contains(words[n-1], "/") {
			return time.Time{}, fmt.Errorf("%q is not a known time zone such as Asia/Shanghai", words[n-1])
		}
		if ok {
			zone, words = named, words[:n-1]
		}
	}
	if len(words) == 1 {
		if day, hours, ok := strings.Cut(words[0], "T"); ok {
			words = []string{day, hours}
		}
	}
	date := c.Now.In(zone)
	switch {
	case len(words) == 0:
		return time.Time{}, notUnderstood(text)
	case words[0] == "today":
		words = words[1:]
	case words[0] == "tomorrow":
		date, words = date.AddDate(0, 0, 1), words[1:]
	case words[0] == "yesterday":
		date, words = date.AddDate(0, 0, -1), words[1:]
	case words[0] == "now" && len(words) == 1:
		return c.Now, nil
	default:
		if day, err := time.Parse(time.DateOnly, words[0]); err == nil {
			date, words = day, words[1:]
		} else if len(words) != 1 {
			return time.Time{}, notUnderstood(text)
		}
	}
	if len(words) > 1 {
		return time.Time{}, notUnderstood(text)
	}
	return at(text, date, strings.Join(words, ""), zone)
}

// at returns a time of a day; "" is its midnight.
func at(text string, date time.Time, ofDay string, zone *time.Location) (time.Time, error) {
	var hours time.Time
	var err error
	if ofDay != "" {
		if hours, err = time.Parse("15:04", ofDay); err != nil {
			hours, err = time.Parse("15:04:05", ofDay)
		}
	}
	if err != nil {
		return time.Time{}, notUnderstood(text)
	}
	found := time.Date(date.Year(), date.Month(), date.Day(), hours.Hour(), hours.Minute(), hours.Second(),
		hours.Nanosecond(), zone)
	if found.Hour() != hours.Hour() || found.Minute() != hours.Minute() {
		return time.Time{}, fmt.Errorf("%q does not exist in %s: daylight saving time begins then", text, zone)
	}
	return found, nil
}

// zoneNamed returns the zone that the last word names: an offset or a name of the
// zone database.
func zoneNamed(word string) (*time.Location, bool) {
	if at, err := time.Parse("-07:00", word); err == nil {
		_, offset := at.Zone()
		return time.FixedZone(word, offset), true
	}
	if word == "" || word == "Local" || strings.ContainsAny(word[:1], "0123456789") {
		return nil, false
	}
	zone, err := time.LoadLocation(word)
	return zone, err == nil
}

func notUnderstood(text string) error {
	return fmt.Errorf("%q is not a time; want one such as %s", text, Forms)
}

// Label names the offset of a zone at an instant, such as UTC or +08:00.
func Label(at time.Time) string {
	if name, offset := at.Zone(); name == "UTC" && offset == 0 {
		return name
	}
	return at.Format("-07:00")
}

// Layout is how people see an instant.
const Layout = "2006-01-02 15:04:05"

// Text writes an instant in the zone of c, with its offset where that is not the
// one that a heading names: the one of now.
func (c Clock) Text(at time.Time) string {
	local := at.In(c.Zone)
	text := local.Format(Layout)
	if label := Label(local); label != Label(c.Now.In(c.Zone)) {
		text += " " + label
	}
	return text
}

// Heading names what an instant is, and the offset of the zone.
func (c Clock) Heading(name string) string { return name + " (" + Label(c.Now.In(c.Zone)) + ")" }

// Relative says how far an instant is from now.
func Relative(d time.Duration) string {
	switch {
	case d >= time.Second:
		return "in " + roughly(d)
	case d <= -time.Second:
		return roughly(-d) + " ago"
	}
	return "now"
}

// roughly rounds a duration of a second or more to its two largest units.
func roughly(d time.Duration) string {
	const day = 24 * time.Hour
	if d = d.Round(time.Second); d >= time.Hour {
		d = d.Round(time.Minute)
	}
	if d >= day {
		d = d.Round(time.Hour)
	}
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return units(d, time.Minute, "m", time.Second, "s")
	case d < day:
		return units(d, time.Hour, "h", time.Minute, "m")
	}
	return units(d, day, "d", time.Hour, "h")
}

// units writes a duration in two units, or in the larger one alone where nothing is
// left for the smaller one.
func units(d, large time.Duration, l string, small time.Duration, s string) string {
	text := fmt.Sprintf("%d%s", d/large, l)
	if rest := d % large / small; rest > 0 {
		text += fmt.Sprintf(" %d%s", rest, s)
	}
	return text
}

// Span writes a duration with three digits at most: 1.25s, 350ms, 2h 5m.
func Span(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + Span(-d)
	case d.Round(100*time.Millisecond) >= time.Minute:
		return roughly(d)
	case d >= 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= 10*time.Millisecond:
		return d.Round(time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	}
	return d.Round(time.Microsecond).String()
}
