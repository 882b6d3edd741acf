package httpapi

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/internal/validate"
)

func (s *server) routeCalendars() {
	register(s, operation{id: "create-calendar", method: http.MethodPost, path: "/calendars", tag: "Calendars",
		summary: "Make a calendar", created: true, body: reflect.TypeFor[calendarInput]()}, s.createCalendar)
	register(s, operation{id: "list-calendars", method: http.MethodGet, path: "/calendars", tag: "Calendars",
		summary: "List calendars, by name"}, s.listCalendars)
	register(s, operation{id: "get-calendar", method: http.MethodGet, path: "/calendars/{name}", tag: "Calendars",
		summary: "Show a calendar"}, s.getCalendar)
	register(s, operation{id: "edit-calendar", method: http.MethodPatch, path: "/calendars/{name}", tag: "Calendars",
		summary: "Change a calendar, for every job that names it",
		description: "A JSON merge patch (RFC 7396); lists are replaced as a whole. It makes a new version. In the " +
			"same transaction " +
			"every job that names the calendar follows it: what was planned of it is superseded and planned anew. " +
			"If-Match is required.",
		body: reflect.TypeFor[calendarPatch]()}, s.editCalendar)
	register(s, operation{id: "delete-calendar", method: http.MethodDelete, path: "/calendars/{name}", tag: "Calendars",
		summary: "Delete a calendar", description: "Refused while jobs name it. If-Match is required."},
		s.deleteCalendar)
	register(s, operation{id: "list-calendar-versions", method: http.MethodGet, path: "/calendars/{name}/versions",
		tag:     "Calendars",
		summary: "List what a calendar has been, the latest version first"}, s.listCalendarVersions)
}

// calendarInput is what a client may say of a calendar.
type calendarInput struct {
	Name        *string          `json:"name,omitempty" required:"true" doc:"It cannot change" example:"holidays"`
	Description *string          `json:"description,omitempty" example:"Public holidays in China"`
	Mode        *string          `json:"mode,omitempty" enum:"exclude,include" default:"exclude" doc:"exclude: what it names is left out; include: only what it names is left in"`
	Timezone    *string          `json:"timezone,omitempty" example:"Asia/Shanghai" doc:"IANA name; the schedule's if absent"`
	Dates       []dateRangeInput `json:"dates,omitempty" nullable:"false" doc:"Days"`
	Weekdays    []string         `json:"weekdays,omitempty" nullable:"false" example:"[\"sat\",\"sun\"]" doc:"mon to sun"`
	Hours       []hourRangeInput `json:"hours,omitempty" nullable:"false" doc:"Spans of each day"`
}

type dateRangeInput struct {
	From   *string `json:"from,omitempty" required:"true" format:"date" example:"2027-10-01"`
	Until  *string `json:"until,omitempty" format:"date" example:"2027-10-07" doc:"The last day; from alone if absent"`
	Yearly *bool   `json:"yearly,omitempty" default:"false" doc:"The same days of every year"`
}

type hourRangeInput struct {
	From  *string `json:"from,omitempty" required:"true" example:"22:00"`
	Until *string `json:"until,omitempty" required:"true" example:"06:00" doc:"Exclusive; on the next day if not later than from"`
}

// calendarPatch is a calendarInput of which any part may be left out.
type calendarPatch struct{}

// TransformSchema returns a calendarInput's schema without what a whole calendar
// must have.
func (calendarPatch) TransformSchema(r huma.Registry, _ *huma.Schema) *huma.Schema {
	patch := *r.Schema(reflect.TypeFor[calendarInput](), false, "")
	patch.Required, patch.Properties = nil, maps.Clone(patch.Properties)
	return &patch
}

func (in calendarInput) calendar() firjob.Calendar {
	c := firjob.Calendar{Mode: firjob.CalendarExclude, Weekdays: in.Weekdays}
	set(&c.Name, in.Name)
	set(&c.Description, in.Description)
	set(&c.Mode, in.Mode)
	set(&c.Timezone, in.Timezone)
	for _, d := range in.Dates {
		var r firjob.DateRange
		set(&r.From, d.From)
		set(&r.Until, d.Until)
		put(&r.Yearly, d.Yearly)
		c.Dates = append(c.Dates, r)
	}
	for _, h := range in.Hours {
		var r firjob.HourRange
		set(&r.From, h.From)
		set(&r.Until, h.Until)
		c.Hours = append(c.Hours, r)
	}
	return c
}

func inputOfCalendar(c firjob.Calendar) calendarInput {
	in := calendarInput{Name: &c.Name, Description: given(c.Description), Mode: new(string(c.Mode)),
		Timezone: given(c.Timezone), Weekdays: c.Weekdays}
	for _, d := range c.Dates {
		in.Dates = append(in.Dates, dateRangeInput{From: &d.From, Until: given(d.Until), Yearly: &d.Yearly})
	}
	for _, h := range c.Hours {
		in.Hours = append(in.Hours, hourRangeInput{From: &h.From, Until: &h.Until})
	}
	return in
}

// calendarBody is a calendar as the API shows it.
type calendarBody struct {
	Name        string              `json:"name" example:"holidays"`
	Description string              `json:"description,omitempty"`
	Mode        firjob.CalendarMode `json:"mode" enum:"exclude,include"`
	Timezone    string              `json:"timezone,omitempty"`
	Dates       []dateRangeBody     `json:"dates,omitempty" nullable:"false"`
	Weekdays    []string            `json:"weekdays,omitempty" nullable:"false"`
	Hours       []hourRangeBody     `json:"hours,omitempty" nullable:"false"`
	Version     int                 `json:"version" doc:"Grows with each change; the ETag is this number in quotes" example:"3"`
	Jobs        *int                `json:"jobs,omitempty" doc:"How many jobs name it, and follow its changes" example:"12"`
	CreatedAt   instant             `json:"created_at"`
	UpdatedAt   instant             `json:"updated_at" doc:"Of this version"`
}

type dateRangeBody struct {
	From   string `json:"from" example:"2027-10-01"`
	Until  string `json:"until,omitempty" example:"2027-10-07"`
	Yearly bool   `json:"yearly,omitempty"`
}

type hourRangeBody struct {
	From  string `json:"from" example:"22:00"`
	Until string `json:"until" example:"06:00"`
}

func bodyOfCalendar(c firjob.Calendar) calendarBody {
	b := calendarBody{Name: c.Name, Description: c.Description, Mode: c.Mode, Timezone: c.Timezone,
		Weekdays: c.Weekdays,
		Version:  c.Version, CreatedAt: instant(c.CreatedAt), UpdatedAt: instant(c.UpdatedAt)}
	for _, d := range c.Dates {
		b.Dates = append(b.Dates, dateRangeBody(d))
	}
	for _, h := range c.Hours {
		b.Hours = append(b.Hours, hourRangeBody(h))
	}
	return b
}

func bodyOfUse(u ports.CalendarUse) calendarBody {
	b := bodyOfCalendar(u.Calendar)
	b.Jobs = &u.Jobs
	return b
}

type calendarPath struct {
	Name string `path:"name" doc:"The calendar's name" example:"holidays"`
}

func (s *server) createCalendar(ctx context.Context,
	in *struct{ RawBody []byte }) (*createdTagged[calendarBody], error) {
	body, err := parseBody(in.RawBody)
	if err != nil {
		return nil, err
	}
	f := &faults{}
	c := decode[calendarInput](s, body, f).calendar()
	f.also(validate.Calendar(c))
	if err := f.err(); err != nil {
		return nil, err
	}
	c, err = s.Store.CreateCalendar(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("create calendar: %w", err)
	}
	return &createdTagged[calendarBody]{Location: "/api/v1/calendars/" + url.PathEscape(c.Name),
		ETag: entityTag(c.Version),
		Body: bodyOfUse(ports.CalendarUse{Calendar: c})}, nil
}

type calendarQuery struct {
	Query     string `query:"q" doc:"Calendars with this in their name or description, case ignored"`
	PageSize  int    `query:"page_size" minimum:"1" maximum:"500" default:"50"`
	PageToken string `query:"page_token" doc:"next_page_token of the page before"`
}

func (s *server) listCalendars(ctx context.Context, in *calendarQuery) (*answer[list[calendarBody]], error) {
	after, err := nameOfToken(in.PageToken)
	if err != nil {
		return nil, err
	}
	found, next, err := s.Store.CalendarList(ctx,
		ports.CalendarFilter{Query: in.Query, After: after, PageSize: in.PageSize})
	if err != nil {
		return nil, fmt.Errorf("list calendars: %w", err)
	}
	out := &answer[list[calendarBody]]{list[calendarBody]{Items: []calendarBody{}, NextPageToken: tokenOfName(next)}}
	for _, u := range found {
		out.Body.Items = append(out.Body.Items, bodyOfUse(u))
	}
	return out, nil
}

func (s *server) getCalendar(ctx context.Context, in *calendarPath) (*tagged[calendarBody], error) {
	u, err := s.Store.Calendar(ctx, in.Name)
	if err != nil {
		return nil, fmt.Errorf("read calendar %q: %w", in.Name, err)
	}
	return &tagged[calendarBody]{ETag: entityTag(u.Version), Body: bodyOfUse(u)}, nil
}

func (s *server) editCalendar(ctx context.Context, in *struct {
	Name    string `path:"name" doc:"The calendar's name" example:"holidays"`
	IfMatch string `header:"If-Match" doc:"The ETag of what is to be changed, or *" example:"\"3\""`
	RawBody []byte
}) (*tagged[calendarBody], error) {
	patch, err := parseBody(in.RawBody)
	if err != nil {
		return nil, err
	}
	u, followed, err := s.Store.UpdateCalendar(ctx, in.Name, func(c *firjob.Calendar) error {
		if err := checkMatch(in.IfMatch, c.Version); err != nil {
			return err
		}
		edited, err := s.patchedCalendar(*c, patch)
		if err == nil {
			*c = edited
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("change calendar %q: %w", in.Name, err)
	}
	s.follow(ctx, followed)
	return &tagged[calendarBody]{ETag: entityTag(u.Version), Body: bodyOfUse(u)}, nil
}

func (s *server) deleteCalendar(ctx context.Context, in *struct {
	Name    string `path:"name" doc:"The calendar's name" example:"holidays"`
	IfMatch string `header:"If-Match" doc:"The ETag of what is to be changed, or *" example:"\"3\""`
}) (*struct{}, error) {
	err := s.Store.DeleteCalendar(ctx, in.Name,
		func(c firjob.Calendar) error { return checkMatch(in.IfMatch, c.Version) })
	if err != nil {
		return nil, fmt.Errorf("delete calendar %q: %w", in.Name, err)
	}
	return nil, nil
}

type versionQuery struct {
	Name      string `path:"name" doc:"The calendar's name" example:"holidays"`
	PageSize  int    `query:"page_size" minimum:"1" maximum:"500" default:"50"`
	PageToken string `query:"page_token" doc:"next_page_token of the page before"`
}

func (s *server) listCalendarVersions(ctx context.Context, in *versionQuery) (*answer[list[calendarBody]], error) {
	token, err := nameOfToken(in.PageToken)
	if err != nil {
		return nil, err
	}
	before, err := strconv.Atoi("0" + token)
	if err != nil {
		return nil, notOfThisList(in.PageToken)
	}
	found, next, err := s.Store.CalendarVersions(ctx, in.Name, before, in.PageSize)
	if err != nil {
		return nil, fmt.Errorf("list versions of calendar %q: %w", in.Name, err)
	}
	out := &answer[list[calendarBody]]{list[calendarBody]{Items: []calendarBody{}}}
	if next > 0 {
		out.Body.NextPageToken = tokenOfName(strconv.Itoa(next))
	}
	for _, c := range found {
		out.Body.Items = append(out.Body.Items, bodyOfCalendar(c))
	}
	return out, nil
}
