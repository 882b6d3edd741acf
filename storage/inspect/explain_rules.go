package inspect

import (
	"fmt"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/storage/pg"
)

// searchBack is how far back the fire before an instant is looked for.
const searchBack = 10 * 366 * 24 * time.Hour

// explain finds the rule that decided about the instant.
func (f *facts) explain() ports.Explanation {
	x := ports.Explanation{At: f.At}
	if before := f.times.Last(f.At.Add(-searchBack), f.At, 1); len(before) > 0 {
		x.Before = &before[0]
	}
	if after := f.times.Next(f.At.Add(f.Precision - time.Nanosecond)); !after.IsZero() {
		x.After = &after
	}
	switch {
	case len(f.records) > 0:
		e := f.records[0]
		x.Execution = &e
		x.Verdict, x.Steps = f.story(e)
		for _, other := range f.records[1:] {
			x.Steps = append(x.Steps,
				step(nil, "also", "execution %s of the same moment (%s) is %s", other.ID, other.Kind, other.State))
		}
	case f.missed != nil && !f.fire.IsZero():
		x.Execution = f.missed
		x.Verdict, x.Steps = f.missedRange(*f.missed)
	default:
		x.Verdict, x.Steps = f.absence()
	}
	return x
}

// step is one fact of an explanation.
func step(at *time.Time, rule, format string, args ...any) ports.Step {
	return ports.Step{At: at, Rule: rule, Text: fmt.Sprintf(format, args...)}
}

// shown is an instant as sentences have it.
func shown(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.999Z07:00") }

func (f *facts) missedRange(e firjob.Execution) (string, []ports.Step) {
	verdict := fmt.Sprintf("It was not run: it is one of the %d fires from %s to %s that one record stands for: %s.",
		e.Missed.Count, shown(e.ScheduledAt), shown(e.Missed.Until), e.Reason)
	return verdict, []ports.Step{
		step(nil, "schedule", "it is a fire of the schedule: %s", f.times.Text()),
		step(e.FinishedAt, "misfire", "execution %s records them all", e.ID),
	}
}

// absence says why there is no record of the instant.
func (f *facts) absence() (string, []ports.Step) {
	gone := f.now.Add(-f.Retention).UTC().Truncate(pg.Day)
	end := f.At.Add(f.Precision)
	switch {
	case f.Retention > 0 && f.At.Before(gone):
		return fmt.Sprintf("Records of that day are gone: they are kept for %v, which reaches back to %s.",
			firjob.Duration(f.Retention), shown(gone)), nil
	case !end.After(f.job.CreatedAt):
		return fmt.Sprintf("The job did not exist: it was made at %s.", shown(f.job.CreatedAt)), nil
	case f.job.Deleted && !f.job.UpdatedAt.After(f.At):
		return fmt.Sprintf("The job had been deleted, at %s.", shown(f.job.UpdatedAt)), nil
	case f.job.Schedule.Kind == firjob.ScheduleManual:
		return "The job has no schedule: it runs only when it is triggered, and nobody triggered it then.", nil
	case f.job.Schedule.Kind == firjob.ScheduleDelay:
		return f.absentDelay()
	case f.fire.IsZero():
		return f.noFire()
	case f.fire.After(f.now):
		return f.coming(), []ports.Step{step(nil, "schedule", "it is a fire of the schedule: %s", f.times.Text())}
	}
	return f.unrecorded(), append(f.changed(),
		step(nil, "schedule", "it is a fire of the present schedule: %s", f.times.Text()))
}

func (f *facts) absentDelay() (string, []ports.Step) {
	verdict := fmt.Sprintf("It is no fire: the job is due %v after its last execution ended, and that was not then.",
		f.job.Schedule.Interval)
	if f.job.NextFireAt == nil {
		return verdict, nil
	}
	return verdict, []ports.Step{step(f.job.NextFireAt, "schedule", "its next fire is at %s", shown(*f.job.NextFireAt))}
}

func (f *facts) noFire() (string, []ports.Step) {
	why := f.times.WhyNot(f.At)
	return fmt.Sprintf("It is no fire: %s.", why),
		append(f.changed(), step(nil, "schedule", "the schedule: %s", f.times.Text()))
}

// changed tells that the present schedule may not be the one of the instant.
func (f *facts) changed() []ports.Step {
	if f.job.Version == 1 || !f.job.UpdatedAt.After(f.At) {
		return nil
	}
	return []ports.Step{step(&f.job.UpdatedAt, "changed",
		"the job was last changed at %s, to version %d; what its schedule was before is not recorded",
		shown(f.job.UpdatedAt), f.job.Version)}
}

// coming says what is to happen to a fire that lies ahead.
func (f *facts) coming() string {
	planned := f.fire.Add(-f.Horizon)
	switch {
	case f.job.Deleted:
		return fmt.Sprintf("It will not run: the job was deleted at %s.", shown(f.job.UpdatedAt))
	case !f.job.Enabled:
		return "It will not run unless the job is resumed: " + f.paused() + "."
	case planned.After(f.now):
		return fmt.Sprintf("It will run: it is to be recorded at about %s, %v ahead of its time.", shown(planned),
			firjob.Duration(f.Horizon))
	}
	return "It will run: the next scan records it."
}

func (f *facts) paused() string {
	if f.job.PausedReason == "" {
		return "it is paused"
	}
	return fmt.Sprintf("it is paused (%s)", f.job.PausedReason)
}

// unrecorded says why a past fire of the present schedule has no record.
func (f *facts) unrecorded() string {
	switch {
	case f.job.NextFireAt != nil && !f.job.NextFireAt.After(f.fire):
		return fmt.Sprintf("It has not been recorded yet: no server has planned the job since %s. The first that "+
			"does applies misfire policy %s.",
			shown(*f.job.NextFireAt), f.job.Misfire.Policy)
	case f.job.UpdatedAt.After(f.fire) && f.job.Version > 1:
		return "It was not run and not recorded: the job was paused then, or had another schedule."
	case !f.job.Enabled:
		return "It was not run: the job was paused; " + f.paused() + " since " + shown(f.job.UpdatedAt) + "."
	}
	return "There is no record of it, though the present schedule has this fire."
}
