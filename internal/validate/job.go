package validate

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/naming"
)

// faults gathers what is wrong, field by field.
type faults []firjob.FieldError

func (f *faults) add(field string, value any, format string, args ...any) {
	*f = append(*f, firjob.FieldError{Field: field, Value: value, Message: fmt.Sprintf(format, args...)})
}

// Job returns every fault of a job that somebody wrote, nil if there is
// none. now is for what may not lie too far in the past. Whether the app exists
// is the store's to say.
func Job(j firjob.Job, now time.Time) []firjob.FieldError {
	f := faults(naming.App(j.App))
	for i := range f {
		f[i].Field = "app"
	}
	f.name("name", j.Name)
	f.target(j)
	f = append(f, Params(j.Params)...)
	f = append(f, Schedule(j.Schedule, now)...)
	f.policies(j)
	f.retry(j.Retry)
	f.routing(j)
	f.parents(j)
	f.contradictions(j)
	return f
}

// NewFaults returns the faults of an edited thing that it did not have before: the
// same fault of the same value is not the edit's.
func NewFaults(before, after []firjob.FieldError) []firjob.FieldError {
	return slices.DeleteFunc(after, func(a firjob.FieldError) bool {
		return slices.ContainsFunc(before, func(b firjob.FieldError) bool {
			return a.Field == b.Field && a.Message == b.Message && sameValue(a.Value, b.Value)
		})
	})
}

// sameValue compares the values of two faults. An instant may be written in another
// zone.
func sameValue(a, b any) bool {
	at, ok := a.(*time.Time)
	other, too := b.(*time.Time)
	if ok && too {
		return at == other || at != nil && other != nil && at.Equal(*other)
	}
	return reflect.DeepEqual(a, b)
}

func (f *faults) policies(j firjob.Job) {
	oneOf(f, "misfire.policy", j.Misfire.Policy, firjob.MisfireFireOnce, firjob.MisfireSkip, firjob.MisfireFireAll)
	f.span("misfire.grace", j.Misfire.Grace, 0, firjob.MaxGrace)
	f.count("misfire.max_catch_up", j.Misfire.MaxCatchUp, 1, firjob.MaxCatchUp)
	f.span("start_deadline", j.StartDeadline, 0, firjob.MaxTimeout)
	oneOf(f, "overlap", j.Overlap, firjob.OverlapAllow, firjob.OverlapSkip, firjob.OverlapQueue, firjob.OverlapReplace)
	f.count("max_running", j.MaxRunning, 0, firjob.MaxRunning)
	f.count("queue_limit", j.QueueLimit, 1, firjob.MaxQueueLimit)
	f.span("replace_after", j.ReplaceAfter, 0, firjob.MaxTimeout)
	oneOf(f, "route", j.Route, firjob.Routes()...)
	oneOf(f, "delivery", j.Delivery, firjob.AtLeastOnce, firjob.AtMostOnce)
	f.span("timeout", j.Timeout, 0, firjob.MaxTimeout)
	f.count("priority", j.Priority, firjob.MinPriority, firjob.MaxPriority)
}

func (f *faults) retry(r firjob.Retry) {
	if r.MaxAttempts < 1 || r.MaxAttempts > firjob.MaxAttempts {
		f.add("retry.max_attempts", r.MaxAttempts, "must be 1 (no retry) to %d", firjob.MaxAttempts)
	}
	oneOf(f, "retry.kind", r.Kind, firjob.BackoffExponential, firjob.BackoffLinear, firjob.BackoffFixed)
	oneOf(f, "retry.on", r.On, firjob.RetryAny, firjob.RetryOther, firjob.RetrySame)
	f.span("retry.backoff", r.Backoff, 0, firjob.MaxTimeout)
	if !(r.Factor >= 1 && r.Factor <= firjob.MaxFactor) {
		f.add("retry.factor", r.Factor, "must be 1 (the same wait each time) to %d", firjob.MaxFactor)
	}
	if f.span("retry.max_backoff", r.MaxBackoff, 0, firjob.MaxTimeout); r.MaxBackoff >= 0 && r.MaxBackoff < r.Backoff {
		f.add("retry.max_backoff", r.MaxBackoff, "must not be shorter than retry.backoff, which is %v", r.Backoff)
	}
	if !(r.Jitter >= 0 && r.Jitter <= 1) {
		f.add("retry.jitter", r.Jitter, "must be 0 (none) to 1 (anything up to twice the wait)")
	}
}

// count finds fault with a number outside [low, high].
func (f *faults) count(field string, n, low, high int) {
	if n < low || n > high {
		f.add(field, n, "must be %d to %d", low, high)
	}
}

// span finds fault with a duration outside [low, high] or finer than the
// millisecond that the store keeps.
func (f *faults) span(field string, d firjob.Duration, low, high time.Duration) {
	if d.Std() < low || d.Std() > high || d.Std()%time.Millisecond != 0 {
		f.add(field, d, "must be %s to %s, in whole milliseconds", firjob.Duration(low), firjob.Duration(high))
	}
}

func (f *faults) name(field, name string) { *f = append(*f, naming.Text(field, name)...) }

func oneOf[T ~string](f *faults, field string, value T, known ...T) {
	if slices.Contains(known, value) {
		return
	}
	words := make([]string, len(known))
	for i, k := range known {
		words[i] = strconv.Quote(string(k))
	}
	if last := len(words) - 1; last > 0 {
		words = []string{strings.Join(words[:last], ", "), words[last]}
	}
	f.add(field, string(value), "must be %s", strings.Join(words, " or "))
}
