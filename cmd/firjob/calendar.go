package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/firjob/firjob/internal/ports"
)

type calendarCmd struct {
	connection
	outputFlag

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
	Mode        *string  `placeholder:"exclude|include" help:"Leave out what it names, the default, or leave in only that."`
	Timezone    *string  `placeholder:"ZONE" help:"Such as Asia/Shanghai; the schedule's by default."`
	Date        []string `placeholder:"DAY[..DAY]" help:"Days, such as 2027-10-01..2027-10-07; with yearly: before it, those of every year. May be repeated."`
	Weekday     []string `placeholder:"DAY" help:"From mon to sun. May be repeated."`
	Hours       []string `placeholder:"FROM-UNTIL" help:"Hours of each day, such as 22:00-06:00. May be repeated."`
}

func (f *calendarFlags) object() object {
	o := object{}
	put(o, "description", f.Description)
	put(o, "mode", f.Mode)
	put(o, "timezone", f.Timezone)
	var dates, hours []object
	for _, text := range f.Date {
		days, yearly := strings.CutPrefix(text, "yearly:")
		from, until, ranged := strings.Cut(days, "..")
		date := object{"from": from}
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
		hours = append(hours, object{"from": from, "until": until})
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

func (c *calendarCreateCmd) Run(ctx context.Context, api *client, out *output) error {
	body := c.object()
	body["name"] = c.Name
	answer, err := api.post(ctx, calendarsPath, body)
	if err != nil {
		return err
	}
	return show(out, answer, showCalendar)
}

type calendarListCmd struct {
	zoneFlag
	Query string `placeholder:"TEXT" help:"Only calendars with this in their name or description."`
	Limit limit  `default:"100" help:"How many at most; 0 = all."`
}

func (calendarListCmd) Help() string { return "Example:\n\n    firjob calendar list --query holi" }

func (c *calendarListCmd) Run(ctx context.Context, api *client, out *output) error {
	query := url.Values{}
	putQuery(query, "q", c.Query)
	answer, err := api.list(ctx, calendarsPath, query, int(c.Limit))
	if err != nil {
		return err
	}
	return showList(out, answer, "There are no such calendars.",
		[]string{"CALENDAR", "MODE", "VERSION", "JOBS", out.at("CHANGED")},
		func(out *output, u ports.CalendarUse) []string {
			return []string{u.Name, string(u.Mode), fmt.Sprint(u.Version), fmt.Sprint(u.Jobs), out.when(&u.UpdatedAt)}
		})
}

type calendarGetCmd struct {
	calendarArg
	zoneFlag
}

func (calendarGetCmd) Help() string { return "Example:\n\n    firjob calendar get holidays" }

func (c *calendarGetCmd) Run(ctx context.Context, api *client, out *output) error {
	answer, err := api.get(ctx, c.path(), nil)
	if err != nil {
		return err
	}
	return show(out, answer, showCalendar)
}

type calendarEditCmd struct {
	calendarArg
	calendarFlags
}

func (calendarEditCmd) Help() string {
	return "Example, which replaces its days as a whole:\n\n" +
		"    firjob calendar edit holidays --date 2027-10-01..2027-10-08"
}

func (c *calendarEditCmd) Run(ctx context.Context, api *client, out *output) error {
	body := c.object()
	if len(body) == 0 {
		return usagef("say what to change")
	}
	answer, err := api.change(ctx, call{method: http.MethodPatch, path: c.path(), body: body})
	if err != nil {
		return err
	}
	return show(out, answer, showCalendar)
}

type calendarDeleteCmd struct {
	calendarArg
	severalFlags
}

func (calendarDeleteCmd) Help() string { return "Example:\n\n    firjob calendar delete holidays" }

func (c *calendarDeleteCmd) Run(ctx context.Context, p *process, api *client, out *output) error {
	if !c.Yes {
		asked := change{verb: "delete", one: "calendar", more: "calendars"}
		if err := p.confirm(asked, []target{{path: c.path(), name: c.Name}}); err != nil {
			return err
		}
	}
	answer, err := api.change(ctx, call{method: http.MethodDelete, path: c.path()})
	if err != nil {
		return err
	}
	return out.done(answer, "Calendar %s was deleted.", c.Name)
}

// showCalendar writes a calendar for people.
func showCalendar(out *output, u ports.CalendarUse) {
	out.field("Calendar", u.Name)
	out.field("Description", u.Description)
	out.field("Mode", string(u.Mode))
	out.field("Timezone", u.Timezone)
	for _, d := range u.Dates {
		text := d.From
		if d.Until != "" {
			text += ".." + d.Until
		}
		if d.Yearly {
			text = "yearly:" + text
		}
		out.field("Date", text)
	}
	out.field("Weekdays", strings.Join(u.Weekdays, ", "))
	for _, h := range u.Hours {
		out.field("Hours", h.From+"-"+h.Until)
	}
	out.field("Jobs", fmt.Sprint(u.Jobs))
	out.field("Version", fmt.Sprint(u.Version))
	out.field(out.at("Made"), out.when(&u.CreatedAt))
	out.field(out.at("Changed"), out.when(&u.UpdatedAt))
}
