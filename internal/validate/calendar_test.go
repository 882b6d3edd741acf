package validate_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/validate"
)

func TestCalendarValidate(t *testing.T) {
	t.Parallel()
	week := []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}
	tests := map[string]struct {
		change func(c *firjob.Calendar)
		want   []string // fields
		text   string   // part of the first message
	}{
		"good":                {func(*firjob.Calendar) {}, nil, ""},
		"the longest name":    {func(c *firjob.Calendar) { c.Name = strings.Repeat("n", firjob.MaxName) }, nil, ""},
		"no name":             {func(c *firjob.Calendar) { c.Name = "" }, []string{"name"}, "must have 1 to 200 characters"},
		"a long name":         {func(c *firjob.Calendar) { c.Name = strings.Repeat("n", firjob.MaxName+1) }, []string{"name"}, "must have"},
		"a name with a slash": {func(c *firjob.Calendar) { c.Name = "a/b" }, []string{"name"}, "must have"},
		"a long description":  {func(c *firjob.Calendar) { c.Description = strings.Repeat("x", 1001) }, []string{"description"}, "has 1001 bytes"},
		"a null in it":        {func(c *firjob.Calendar) { c.Description = "\x00" }, []string{"description"}, "cannot be printed"},
		"not UTF-8":           {func(c *firjob.Calendar) { c.Description = "\xff" }, []string{"description"}, "not valid UTF-8"},
		"no mode":             {func(c *firjob.Calendar) { c.Mode = "" }, []string{"mode"}, `must be "exclude" or "include"`},
		"an unknown zone":     {func(c *firjob.Calendar) { c.Timezone = "Mars" }, []string{"timezone"}, "not a known time zone"},
		"no date":             {func(c *firjob.Calendar) { c.Dates = []firjob.DateRange{{}} }, []string{"dates[0].from"}, "must be a date"},
		"30 February":         {func(c *firjob.Calendar) { c.Dates[0].From = "2027-02-30" }, []string{"dates[0].from"}, "must be a date"},
		"a bad end":           {func(c *firjob.Calendar) { c.Dates[0].Until = "7" }, []string{"dates[0].until"}, "must be a date"},
		"a falling range":     {func(c *firjob.Calendar) { c.Dates[0].Until = "2026-12-31" }, []string{"dates[0].until"}, "must not be before from"},
		"more than a year": {func(c *firjob.Calendar) {
			c.Dates[0] = firjob.DateRange{From: "2027-01-01", Until: "2028-01-01", Yearly: true}
		}, []string{"dates[0].until"}, "less than a year"},
		"many dates":           {func(c *firjob.Calendar) { c.Dates = make([]firjob.DateRange, 1001) }, []string{"dates"}, "are 1001 ranges; want at most 1000"},
		"an unknown day":       {func(c *firjob.Calendar) { c.Weekdays = []string{"mon", "Tuesday"} }, []string{"weekdays[1]"}, "must be"},
		"a day twice":          {func(c *firjob.Calendar) { c.Weekdays = []string{"mon", "mon"} }, []string{"weekdays[1]"}, "is listed twice"},
		"hours":                {func(c *firjob.Calendar) { c.Hours = []firjob.HourRange{{From: "9:00", Until: "24:00"}} }, []string{"hours[0].from", "hours[0].until"}, "must be a time of day"},
		"many hours":           {func(c *firjob.Calendar) { c.Hours = make([]firjob.HourRange, 25) }, []string{"hours"}, "are 25 ranges; want at most 24"},
		"nothing is left in":   {func(c *firjob.Calendar) { c.Mode, c.Dates = "include", nil }, []string{"mode"}, "permits nothing at all"},
		"the week is left out": {func(c *firjob.Calendar) { c.Weekdays = week }, []string{"mode"}, "permits nothing at all"},
		"the day is left out":  {func(c *firjob.Calendar) { c.Hours = []firjob.HourRange{{From: "06:00", Until: "06:00"}} }, []string{"mode"}, "permits nothing"},
		"left out in two halves": {func(c *firjob.Calendar) {
			c.Hours = []firjob.HourRange{{From: "06:00", Until: "18:00"}, {From: "18:00", Until: "06:00"}}
		}, []string{"mode"}, "permits nothing"},
		"the year is left out": {func(c *firjob.Calendar) {
			c.Dates = []firjob.DateRange{{From: "2027-01-01", Until: "2027-12-31", Yearly: true}}
		}, []string{"mode"}, "permits nothing"},
		"nothing is left out":  {func(c *firjob.Calendar) { c.Dates = nil }, nil, ""},
		"a date of long ago":   {func(c *firjob.Calendar) { c.Mode, c.Dates = "include", []firjob.DateRange{{From: "1999-01-01"}} }, nil, ""},
		"till the end of time": {func(c *firjob.Calendar) { c.Dates = []firjob.DateRange{{From: "0001-01-01", Until: "9999-12-31"}} }, nil, ""},
		"everything at once": {func(c *firjob.Calendar) {
			*c = firjob.Calendar{Dates: []firjob.DateRange{{From: "x", Until: "y"}}, Weekdays: []string{"x"}, Hours: []firjob.HourRange{{}}, Timezone: "x"}
		}, []string{"name", "mode", "timezone", "dates[0].from", "dates[0].until", "weekdays[0]", "hours[0].from", "hours[0].until"}, "must have"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newYear
			c.Dates = slices.Clone(c.Dates)
			tt.change(&c)
			got := validate.Calendar(c)
			if diff := cmp.Diff(tt.want, fieldsOf(got)); diff != "" {
				t.Errorf("fields (-want +got):\n%s%+v", diff, got)
			} else if len(got) > 0 && !strings.Contains(got[0].Message, tt.text) {
				t.Errorf("got %q, want one with %q", got[0].Message, tt.text)
			}
		})
	}
}

func TestCalendarJSON(t *testing.T) {
	t.Parallel()
	text := `{"name":"shop","mode":"include","timezone":"Asia/Shanghai","dates":[{"from":"2027-01-01","until":"2027-01-03"},` +
		`{"from":"2027-05-01","yearly":true}],"weekdays":["mon"],"hours":[{"from":"22:00","until":"06:00"}],"version":2,` +
		`"created_at":"2027-01-01T00:00:00Z","updated_at":"2027-01-02T00:00:00Z"}`
	var c firjob.Calendar
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		t.Fatal(err)
	}
	if got, err := json.Marshal(c); err != nil || string(got) != text {
		t.Errorf("got  %s, %v\nwant %s", got, err, text)
	}
	if faults := validate.Calendar(c); faults != nil {
		t.Errorf("got %+v, want no fault", faults)
	}
}
