package main

import (
	"encoding/json"
	"fmt"

	"github.com/firjob/firjob"
)

// showJob writes a job for people.
func showJob(out *output, j firjob.Job) {
	out.field("Job", fmt.Sprintf("%d %s", j.ID, j.Name))
	out.field("App", j.App)
	out.field("Handler", j.Handler)
	out.field("Params", paramsText(j.Params))
	out.field("Schedule", scheduleText(j.Schedule))
	out.field("State", jobState(j))
	out.field("Next fire (UTC)", out.when(j.NextFireAt))
	out.field("Misfire", fmt.Sprintf("%s, grace %v", j.Misfire.Policy, j.Misfire.Grace))
	out.field("Overlap", string(j.Overlap))
	out.field("Route", string(j.Route))
	out.field("Delivery", string(j.Delivery))
	out.field("Timeout", timeoutText(j.Timeout))
	out.field("Retry", retryText(j.Retry))
	out.field("Priority", fmt.Sprint(j.Priority))
	out.field("Version", fmt.Sprint(j.Version))
	out.field("Made (UTC)", out.when(&j.CreatedAt))
	out.field("Changed (UTC)", out.when(&j.UpdatedAt))
}

// scheduleText says a schedule in a few words.
func scheduleText(s firjob.Schedule) string {
	switch s.Kind {
	case firjob.ScheduleCron:
		return fmt.Sprintf("%s (%s)", s.Expr, s.Timezone)
	case firjob.ScheduleEvery:
		return fmt.Sprintf("every %v", s.Interval)
	case firjob.ScheduleDelay:
		return fmt.Sprintf("%v after the last ended", s.Interval)
	case firjob.ScheduleAt:
		if s.At != nil {
			return "at " + s.At.UTC().Format(timeFormat)
		}
	}
	return string(s.Kind)
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

func paramsText(params json.RawMessage) string {
	if string(params) == "null" {
		return ""
	}
	return string(params)
}

func timeoutText(d firjob.Duration) string {
	if d == 0 {
		return "none"
	}
	return d.String()
}

func retryText(r firjob.Retry) string {
	if r.MaxAttempts <= 1 {
		return "none"
	}
	return fmt.Sprintf("%d attempts; waits from %v, each %g times the one before, up to %v; jitter %g",
		r.MaxAttempts, r.Backoff, r.Factor, r.MaxBackoff, r.Jitter)
}
