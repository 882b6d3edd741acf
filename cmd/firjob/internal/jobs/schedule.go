package jobs

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/cmd/firjob/internal/console"
	"github.com/firjob/firjob/cmd/firjob/internal/instant"
	"github.com/firjob/firjob/internal/cronspec"
	"github.com/firjob/firjob/internal/timetable"
)

type ScheduleCmd struct {
	Preview schedulePreviewCmd `cmd:"" help:"Show when a schedule fires; needs no server."`
}

type schedulePreviewCmd struct {
	Expr  *string         `arg:"" optional:"" help:"A cron expression of 5 fields, or 6 with seconds first, or @hourly, @daily ..."`
	Count fires           `short:"n" default:"10" help:"How many fires, up to 1000."`
	From  *console.Moment `placeholder:"TIME" help:"Fires after this time, such as 2027-03-28T00:00:00Z; after now by default."`
	scheduleFlags
	console.OutputFlag
}

func (schedulePreviewCmd) Help() string {
	return `Examples:

    firjob schedule preview "30 2 * * *" --timezone America/New_York
    firjob schedule preview --every 90s -n 3`
}

func (c *schedulePreviewCmd) Run(p *console.Process, out *console.Output) error {
	from := p.Now()
	if c.From != nil {
		from = time.Time(*c.From)
	}
	schedule, err := c.schedule()
	if err != nil {
		return err
	}
	timetable, err := timetable.New(schedule, timetable.Options{Anchor: from})
	if err != nil {
		return console.Usagef("%w", err)
	}
	foretold := preview{
		Fires:    firesOf(timetable, from, int(c.Count)),
		Warnings: append([]string{}, timetable.Warnings(from)...),
		Text:     timetable.Text(),
	}
	answer, err := json.Marshal(foretold)
	if err != nil {
		return fmt.Errorf("write the preview: %w", err)
	}
	zone, err := cronspec.Zone(schedule.Timezone)
	if err != nil {
		return console.Usagef("%w", err)
	}
	return console.Show(out, answer, func(out *console.Output, _ json.RawMessage) {
		showPreview(out, foretold, from, zone)
	})
}

// schedule returns the schedule that the flags describe.
func (c *schedulePreviewCmd) schedule() (firjob.Schedule, error) {
	var s firjob.Schedule
	if c.Expr != nil && (c.Every != nil || c.Delay != nil || c.At != nil) {
		return s, console.Usagef("give an expression or one of --every, --delay, --at, not both")
	}
	o := c.object(c.Expr, false)
	if o["kind"] == nil {
		return s, console.Usagef("say when: a cron expression or one of --every, --delay, --at")
	}
	text, err := json.Marshal(o)
	if err != nil {
		return s, fmt.Errorf("write the schedule: %w", err)
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return s, fmt.Errorf("read the schedule: %w", err)
	}
	return s, nil
}

// fires is how many fires are computed.
type fires int

// Validate is kong's hook.
func (n fires) Validate() error {
	if n < 1 || n > 1000 {
		return fmt.Errorf("%d is not between 1 and 1000", int(n))
	}
	return nil
}

// preview is what POST /schedules/preview answers.
type preview struct {
	Fires    []console.Moment `json:"fires"`
	Warnings []string         `json:"warnings"`
	Text     string           `json:"text"`
}

func firesOf(t *timetable.Timetable, from time.Time, n int) []console.Moment {
	fires := []console.Moment{}
	for at := t.Next(from); !at.IsZero() && len(fires) < n; at = t.Next(at) {
		fires = append(fires, console.Moment(at))
	}
	return fires
}

// showPreview lists fires as the clocks of zone show them, and marks those
// before which the clocks changed.
func showPreview(out *console.Output, v preview, from time.Time, zone *time.Location) {
	out.Line("%s", v.Text)
	for _, warning := range v.Warnings {
		out.Line("Note: %s", warning)
	}
	out.Line("")
	if len(v.Fires) == 0 {
		out.Line("No fire is known ahead of time.")
		return
	}
	out.Row("#", "LOCAL ("+zone.String()+")", "UTC", "CLOCKS")
	before := from.In(zone)
	for i, fire := range v.Fires {
		at := time.Time(fire)
		local := at.In(zone)
		out.Row(strconv.Itoa(i+1), local.Format("Mon 2006-01-02 15:04:05 MST"),
			at.UTC().Format(console.TimeFormat)+" ("+instant.Relative(at.Sub(out.Clock.Now))+")",
			clockChange(before, local))
		before = local
	}
}

// clockChange says how far the clocks were moved between two instants; "" if
// they were not.
func clockChange(before, after time.Time) string {
	old, was := before.Zone()
	now, is := after.Zone()
	moved := console.Span(time.Duration(is-was) * time.Second)
	switch {
	case moved > 0:
		return fmt.Sprintf("forward %v: %s to %s", moved, old, now)
	case moved < 0:
		return fmt.Sprintf("back %v: %s to %s", -moved, old, now)
	}
	return ""
}
