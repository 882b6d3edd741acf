package jobs

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/cmd/firjob/internal/console"
	"github.com/firjob/firjob/cmd/firjob/internal/view"
)

// showJob writes a job for people.
func showJob(out *console.Output, j firjob.Job) {
	out.Field("Job", nameText(j))
	out.Field("Handler", runsText(j))
	out.Field("Params", view.ParamsText(j.Params))
	out.Field("Schedule", whenText(out, j))
	out.Field("Fires", finerText(out, j.Schedule))
	out.Field("State", jobState(j))
	out.Field(out.At("Next fire"), out.When(j.NextFireAt))
	out.Field("Misfire", fmt.Sprintf("%s, grace %v", j.Misfire.Policy, j.Misfire.Grace))
	out.Field("Start deadline", spanText(j.StartDeadline))
	out.Field("Overlap", overlapText(j))
	out.Field("Route", routeText(j))
	out.Field("Delivery", string(j.Delivery))
	out.Field("Timeout", cmp.Or(spanText(j.Timeout), "none"))
	out.Field("Retry", retryText(j.Retry))
	out.Field("Priority", fmt.Sprint(j.Priority))
	out.Field("Version", fmt.Sprint(j.Version))
	out.Field(out.At("Made"), out.When(&j.CreatedAt))
	out.Field(out.At("Changed"), out.When(&j.UpdatedAt))
}

// nameText names a job in both ways.
func nameText(j firjob.Job) string { return fmt.Sprintf("%s/%s (number %d)", j.App, j.Name, j.ID) }

// whenText says what makes a job due: its schedule, or its parents.
func whenText(out *console.Output, j firjob.Job) string {
	if j.Parents == nil {
		return scheduleText(out, j.Schedule)
	}
	return parentsText(j.Parents)
}

// scheduleText says a schedule in a few words.
func scheduleText(out *console.Output, s firjob.Schedule) string {
	switch s.Kind {
	case firjob.ScheduleCron:
		return s.Expr + inZone(s)
	case firjob.ScheduleEvery:
		return fmt.Sprintf("every %v", s.Interval) + inZone(s)
	case firjob.ScheduleDelay:
		return fmt.Sprintf("%v after the last ended", s.Interval) + inZone(s)
	case firjob.ScheduleAt:
		if s.At != nil {
			return "at " + out.Stamp(s.At)
		}
	}
	return string(s.Kind)
}

// inZone names the zone of a schedule and its calendars, if it has any.
func inZone(s firjob.Schedule) string {
	names := slices.DeleteFunc(append([]string{s.Timezone}, s.Calendars...),
		func(name string) bool { return name == "" })
	if len(names) == 0 {
		return ""
	}
	return " (" + strings.Join(names, ", ") + ")"
}

// finerText says what scheduleText leaves out and is not as it is by default.
func finerText(out *console.Output, s firjob.Schedule) string {
	var list []string
	if s.Dialect == "quartz" {
		list = append(list, "dialect quartz")
	}
	if s.StartAt != nil {
		list = append(list, "from "+out.Stamp(s.StartAt))
	}
	if s.EndAt != nil {
		list = append(list, "before "+out.Stamp(s.EndAt))
	}
	if s.Jitter > 0 {
		list = append(list, fmt.Sprintf("put off by up to %v", s.Jitter))
	}
	return strings.Join(list, "; ")
}

func jobState(j firjob.Job) string {
	switch {
	case j.Enabled:
		return "on"
	case j.PausedReason != "":
		return "paused: " + j.PausedReason
	}
	return "paused"
}

// spanText is "" for no time at all.
func spanText(d firjob.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

// runsText says what runs: a handler, or a call of the server's own.
func runsText(j firjob.Job) string {
	if j.HTTP != nil {
		return j.HTTP.Method + " " + j.HTTP.URL
	}
	return j.Handler
}

// parentsText says after which ends of which jobs a job runs.
func parentsText(p *firjob.Parents) string {
	var list []string
	for _, of := range p.Of {
		list = append(list, fmt.Sprintf("%s of job %d", of.On, of.Job))
	}
	if len(list) == 1 {
		return "after " + list[0]
	}
	return fmt.Sprintf("after %s of: %s", p.Join, strings.Join(list, ", "))
}

func overlapText(j firjob.Job) string {
	if j.MaxRunning == 0 {
		return string(j.Overlap)
	}
	return fmt.Sprintf("%s, %d at a time", j.Overlap, j.MaxRunning)
}

func routeText(j firjob.Job) string {
	text := string(j.Route)
	if j.RouteKey != "" {
		text += " by " + j.RouteKey
	}
	for _, name := range slices.Sorted(maps.Keys(j.Selector)) {
		text += fmt.Sprintf(", %s=%s", name, j.Selector[name])
	}
	if j.Exclusive {
		text += ", exclusive"
	}
	return text
}

func retryText(r firjob.Retry) string {
	if r.MaxAttempts <= 1 {
		return "none"
	}
	waits := fmt.Sprintf("waits from %v, each %g times the one before, up to %v", r.Backoff, r.Factor, r.MaxBackoff)
	switch r.Kind {
	case firjob.BackoffLinear:
		waits = fmt.Sprintf("waits from %v, each %[1]v longer than the one before, up to %v", r.Backoff, r.MaxBackoff)
	case firjob.BackoffFixed:
		waits = fmt.Sprintf("waits of %v", r.Backoff)
	}
	return fmt.Sprintf("%d attempts; %s; jitter %g", r.MaxAttempts, waits, r.Jitter)
}
