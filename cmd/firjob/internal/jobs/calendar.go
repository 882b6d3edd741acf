package jobs

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/firjob/firjob/cmd/firjob/internal/client"
	"github.com/firjob/firjob/cmd/firjob/internal/console"
	"github.com/firjob/firjob/internal/ports"
)

type CalendarCmd struct {
	client.Connection
	console.OutputFlag

	Create calendarCreateCmd `cmd:"" help:"Make a calendar."`
	List   calendarListCmd   `cmd:"" help:"List calendars."`
	Get    calendarGetCmd    `cmd:"" help:"Show a calendar."`
	Edit   calendarEditCmd   `cmd:"" help:"Change a calendar, for every job that names it."`
	Delete calendarDeleteCmd `cmd:"" help:"Delete a calendar that no job names."`
}

const calendarsPath = "api/v1/calendars"

// calendarArg names a calendar.
type calendarArg struct {
	Name string `arg:"" help:"Name of the calendar."`
}

func (a calendarArg) path() string { return calendarsPath + "/" + url.PathEscape(a.Name) }

// calendarFlags are what "calendar create" and "calendar edit" say.
type calendarFlags struct {
	Description *string  `placeholder:"TEXT" help:"What it is."`
	Mode        *string  `placeholder:"exclude|include" help:"Leave out the fires that it names (exclude, the default), or keep only those (include)."`
	Timezone    *string  `placeholder:"ZONE" help:"Zone of its dates and hours, such as Asia/Shanghai; by default the zone of each schedule."`
	Date        []string `placeholder:"DAY[..DAY]" help:"Days, such as 2027-10-01..2027-10-07. With yearly: in front, these days of every year. May be repeated."`
	Weekday     []string `placeholder:"DAY" help:"Days of the week, from mon to sun. May be repeated."`
	Hours       []string `placeholder:"FROM-UNTIL" help:"Hours of each day, such as 22:00-06:00. May be repeated."`
}

func (f *calendarFlags) object() client.Object {
	o := client.Object{}
	client.Put(o, "description", f.Description)
	client.Put(o, "mode", f.Mode)
	client.Put(o, "timezone", f.Timezone)
	var dates, hours []client.Object
	for _, text := range f.Date {
		days, yearly := strings.CutPrefix(text, "yearly:")
		from, until, ranged := strings.Cut(days, "..")
		date := client.Object{"from": from}
		if ranged {
			date["until"] = until
		}
		if yearly {
			date["yearly"] = true
		}
		dates = append(dates, date)
	}
	for _, text := range f.Hours {
		from, until, _ := strings.Cut(text, "-")
		hours = append(hours, client.Object{"from": from, "until": until})
	}
	if dates != nil {
		o["dates"] = dates
	}
	if f.Weekday != nil {
		o["weekdays"] = f.Weekday
	}
	if hours != nil {
		o["hours"] = hours
	}
	return o
}

type calendarCreateCmd struct {
	calendarArg
	calendarFlags
}

func (calendarCreateCmd) Help() string {
	return `Examples:

    firjob calendar create holidays --date 2027-10-01..2027-10-07 --date yearly:2027-01-01
    firjob calendar create office --mode include --weekday mon,tue,wed,thu,fri --timezone Asia/Shanghai
    firjob calendar create night --hours 22:00-06:00`
}

func (c *calendarCreateCmd) Run(ctx context.Context, api *client.Client, out *console.Output) error {
	body := c.object()
	body["name"] = c.Name
	answer, err := api.Post(ctx, calendarsPath, body)
	if err != nil {
		return err
	}
	return console.Show(out, answer, showCalendar)
}

type calendarListCmd struct {
	console.ZoneFlag
	Query string        `placeholder:"TEXT" help:"Only calendars with this in their name or description."`
	Limit console.Limit `default:"100" help:"How many at most; 0 = all."`
}

func (calendarListCmd) Help() string { return "Example:\n\n    firjob calendar list --query holi" }

func (c *calendarListCmd) Run(ctx context.Context, api *client.Client, out *console.Output) error {
	query := url.Values{}
	client.PutQuery(query, "q", c.Query)
	answer, err := api.List(ctx, calendarsPath, query, int(c.Limit))
	if err != nil {
		return err
	}
	return console.ShowList(out, answer, "There are no such calendars.",
		[]string{"CALENDAR", "MODE", "VERSION", "JOBS", out.At("CHANGED")},
		func(out *console.Output, u ports.CalendarUse) []string {
			return []string{u.Name, string(u.Mode), fmt.Sprint(u.Version), fmt.Sprint(u.Jobs), out.When(&u.UpdatedAt)}
		})
}

type calendarGetCmd struct {
	calendarArg
	console.ZoneFlag
}

func (calendarGetCmd) Help() string { return "Example:\n\n    firjob calendar get holidays" }

func (c *calendarGetCmd) Run(ctx context.Context, api *client.Client, out *console.Output) error {
	answer, err := api.Get(ctx, c.path(), nil)
	if err != nil {
		return err
	}
	return console.Show(out, answer, showCalendar)
}

type calendarEditCmd struct {
	calendarArg
	calendarFlags
}

func (calendarEditCmd) Help() string {
	return "Example, which replaces its days as a whole:\n\n" +
		"    firjob calendar edit holidays --date 2027-10-01..2027-10-08"
}

func (c *calendarEditCmd) Run(ctx context.Context, api *client.Client, out *console.Output) error {
	body := c.object()
	if len(body) == 0 {
		return console.Usagef("say what to change")
	}
	answer, err := api.Change(ctx, client.Call{Method: http.MethodPatch, Path: c.path(), Body: body})
	if err != nil {
		return err
	}
	return console.Show(out, answer, showCalendar)
}

type calendarDeleteCmd struct {
	calendarArg
	console.SeveralFlags
}

func (calendarDeleteCmd) Help() string { return "Example:\n\n    firjob calendar delete holidays" }

func (c *calendarDeleteCmd) Run(ctx context.Context, p *console.Process, api *client.Client,
	out *console.Output) error {
	if !c.Yes {
		asked := console.Change{Verb: "delete", One: "calendar", More: "calendars"}
		if err := p.Confirm(asked, []console.Target{{Path: c.path(), Name: c.Name}}); err != nil {
			return err
		}
	}
	answer, err := api.Change(ctx, client.Call{Method: http.MethodDelete, Path: c.path()})
	if err != nil {
		return err
	}
	return out.Done(answer, "Calendar %s was deleted.", c.Name)
}

// showCalendar writes a calendar for people.
func showCalendar(out *console.Output, u ports.CalendarUse) {
	out.Field("Calendar", u.Name)
	out.Field("Description", u.Description)
	out.Field("Mode", string(u.Mode))
	out.Field("Timezone", u.Timezone)
	for _, d := range u.Dates {
		text := d.From
		if d.Until != "" {
			text += ".." + d.Until
		}
		if d.Yearly {
			text = "yearly:" + text
		}
		out.Field("Date", text)
	}
	out.Field("Weekdays", strings.Join(u.Weekdays, ", "))
	for _, h := range u.Hours {
		out.Field("Hours", h.From+"-"+h.Until)
	}
	out.Field("Jobs", fmt.Sprint(u.Jobs))
	out.Field("Version", fmt.Sprint(u.Version))
	out.Field(out.At("Made"), out.When(&u.CreatedAt))
	out.Field(out.At("Changed"), out.When(&u.UpdatedAt))
}
