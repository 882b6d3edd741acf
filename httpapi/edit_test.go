package httpapi_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/firjob/firjob"
)

// What was wrong with a job before an edit, because time went on or a rule was
// changed, is not the edit's fault.
func TestAnEditIsJudgedByWhatItChanges(t *testing.T) {
	t.Parallel()
	long := time.Now().AddDate(-3, 0, 0).Truncate(time.Millisecond).In(time.FixedZone("", 3600)) // as Postgres may return it
	tests := map[string]struct {
		stored firjob.Schedule
		patch  string
		faults []string
	}{
		"years that are over": {firjob.Schedule{Kind: firjob.ScheduleCron, Expr: "0 0 9 * * ? 2024-2025", Dialect: "quartz"}, `{"timeout":"5s"}`, nil},
		"the same expression": {firjob.Schedule{Kind: firjob.ScheduleCron, Expr: "0 0 9 * * ? 2024-2025", Dialect: "quartz"},
			`{"schedule":{"expr":"0 0 9 * * ? 2024-2025"}}`, nil},
		"other years that are over": {firjob.Schedule{Kind: firjob.ScheduleCron, Expr: "0 0 9 * * ? 2024-2025", Dialect: "quartz"},
			`{"schedule":{"expr":"0 0 9 * * ? 2023"}}`, []string{"body.schedule.expr"}},
		"an instant of old": {firjob.Schedule{Kind: firjob.ScheduleAt, At: &long}, `{"timeout":"5s"}`, nil},
		"another of old":    {firjob.Schedule{Kind: firjob.ScheduleAt, At: &long}, `{"schedule":{"at":"2020-01-01T00:00:00Z"}}`, []string{"body.schedule.at"}},
		"a zone of old":     {firjob.Schedule{Kind: firjob.ScheduleCron, Expr: "0 9 * * *", Timezone: "localtime"}, `{"timeout":"5s"}`, nil},
		"a new fault beside": {firjob.Schedule{Kind: firjob.ScheduleCron, Expr: "0 9 * * *", Timezone: "localtime"},
			`{"schedule":{"gap":"jump"}}`, []string{"body.schedule.gap"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSurface(t)
			path := s.job(goodJob)
			stored := s.store.jobs[1]
			stored.Schedule = tt.stored
			s.store.jobs[1] = stored
			if tt.faults == nil {
				s.call("PATCH", path, tt.patch).want(http.StatusOK)
			} else if got := s.call("PATCH", path, tt.patch).want(422).problem().locations(); !slices.Equal(got, tt.faults) {
				t.Errorf("got faults at %v, want %v", got, tt.faults)
			}
		})
	}
}

func TestPreviewFromAnInstant(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	var preview struct {
		Fires    []time.Time
		Warnings []string
	}
	ask := func(schedule, from string) reply {
		return s.call("POST", "/api/v1/schedules/preview", `{"schedule":`+schedule+`,"count":1,"from":"`+from+`"}`)
	}
	ask(`{"kind":"cron","expr":"0 2 30 12 *","timezone":"Pacific/Apia"}`, "2011-12-29T00:00:00Z").want(http.StatusOK).into(&preview)
	if want := time.Date(2011, 12, 30, 10, 0, 0, 0, time.UTC); len(preview.Fires) != 1 || !preview.Fires[0].Equal(want) {
		t.Errorf("fires at %v, want %v", preview.Fires, want)
	}
	if len(preview.Warnings) != 1 || !strings.Contains(preview.Warnings[0], "skip the whole day") {
		t.Errorf("warnings are %q, want that of the day that was skipped", preview.Warnings)
	}
	ask(`{"kind":"cron","expr":"0 0 9 * * ? 2024","dialect":"quartz"}`, "2024-05-01T09:00:00Z").want(http.StatusOK).into(&preview)
	if want := time.Date(2024, 5, 2, 9, 0, 0, 0, time.UTC); len(preview.Fires) != 1 || !preview.Fires[0].Equal(want) {
		t.Errorf("fires at %v, want %v", preview.Fires, want)
	}
	if got := ask(`{"kind":"manual"}`, "tomorrow").want(422).problem().locations(); !slices.Equal(got, []string{"body.from"}) {
		t.Errorf("got faults at %v, want from", got)
	}
}

func TestADurationThatIsTooLong(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	r := s.call("POST", "/api/v1/schedules/preview", `{"schedule":{"kind":"delay","interval":"9999999h"}}`).want(422)
	if !strings.Contains(r.body, "is too long: a duration is at most 2562047h") {
		t.Errorf("got %s, want that it is too long, and the limit", r.body)
	}
}
