package firjob_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/firjob/firjob"
)

func TestRetryWait(t *testing.T) {
	t.Parallel()
	r := firjob.Retry{Backoff: firjob.Duration(time.Second), Factor: 2, MaxBackoff: firjob.Duration(10 * time.Second), Jitter: 0.2}
	tests := []struct {
		n      int
		random float64
		want   time.Duration
	}{
		{1, 0.5, time.Second},
		{2, 0.5, 2 * time.Second},
		{4, 0.5, 8 * time.Second},
		{5, 0.5, 10 * time.Second},
		{100, 0.5, 10 * time.Second},
		{1, 0, 800 * time.Millisecond},
		{5, 0, 8 * time.Second},
	}
	for _, tt := range tests {
		if got := r.Wait(tt.n, tt.random).Round(time.Microsecond); got != tt.want {
			t.Errorf("Wait(%d, %v) = %v, want %v", tt.n, tt.random, got, tt.want)
		}
	}
}

func TestRetryWaitKinds(t *testing.T) {
	t.Parallel()
	const second = time.Second
	for kind, want := range map[firjob.BackoffKind][]time.Duration{
		firjob.BackoffExponential: {2 * second, 6 * second, 18 * second, 30 * second, 30 * second},
		firjob.BackoffLinear:      {2 * second, 4 * second, 6 * second, 8 * second, 10 * second},
		firjob.BackoffFixed:       {2 * second, 2 * second, 2 * second, 2 * second, 2 * second},
	} {
		r := firjob.Retry{Kind: kind, Backoff: firjob.Duration(2 * second), Factor: 3, MaxBackoff: firjob.Duration(30 * second)}
		for i, want := range want {
			if got := r.Wait(i+1, 0.5); got != want {
				t.Errorf("%s: the wait after attempt %d is %v, want %v", kind, i+1, got, want)
			}
		}
	}
}

// The largest rule that is valid overflows nothing.
func TestRetryWaitDoesNotOverflow(t *testing.T) {
	t.Parallel()
	for _, backoff := range []time.Duration{0, 1, firjob.MaxTimeout} {
		r := firjob.Retry{Kind: firjob.BackoffExponential, Backoff: firjob.Duration(backoff), Factor: firjob.MaxFactor,
			MaxBackoff: firjob.Duration(firjob.MaxTimeout), Jitter: 1}
		want := time.Duration(firjob.MaxTimeout)
		if backoff == 0 {
			want = 0
		}
		if got := r.Wait(firjob.MaxAttempts, 0.5); got != want {
			t.Errorf("backoff %v: the wait after attempt %d is %v, want %v", backoff, firjob.MaxAttempts, got, want)
		}
	}
}

// Whatever a valid rule says, a wait is never negative, stays within its jitter
// of the cap, and does not shrink from one attempt to the next.
func TestRetryWaitBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		backoff := rapid.Int64Range(0, int64(firjob.MaxTimeout)).Draw(t, "backoff")
		r := firjob.Retry{
			Kind:       rapid.SampledFrom([]firjob.BackoffKind{firjob.BackoffExponential, firjob.BackoffLinear, firjob.BackoffFixed}).Draw(t, "kind"),
			Backoff:    firjob.Duration(backoff),
			MaxBackoff: firjob.Duration(rapid.Int64Range(backoff, int64(firjob.MaxTimeout)).Draw(t, "max backoff")),
			Factor:     rapid.Float64Range(1, firjob.MaxFactor).Draw(t, "factor"),
			Jitter:     rapid.Float64Range(0, 1).Draw(t, "jitter"),
		}
		n := rapid.IntRange(1, firjob.MaxAttempts).Draw(t, "n")
		random := rapid.Float64Range(0, 0.999999).Draw(t, "random")
		wait, plain := r.Wait(n, random), r.Wait(n, 0.5)
		if plain < time.Duration(r.Backoff)-1 || plain > time.Duration(r.MaxBackoff)+1 {
			t.Fatalf("%+v: without jitter Wait(%d) = %v, want it between backoff and cap", r, n, plain)
		}
		low, high := time.Duration(float64(plain)*(1-r.Jitter))-2, time.Duration(float64(plain)*(1+r.Jitter))+2
		if wait < 0 || wait < low || wait > high {
			t.Fatalf("%+v: Wait(%d, %v) = %v, want %v to %v", r, n, random, wait, low, high)
		}
		if next := r.Wait(n+1, random); next < wait {
			t.Fatalf("%+v: Wait(%d) = %v is shorter than Wait(%d) = %v", r, n+1, next, n, wait)
		}
	})
}

func TestEndedAfter(t *testing.T) {
	t.Parallel()
	retry := firjob.Retry{MaxAttempts: 3, Backoff: firjob.Duration(time.Second), Factor: 2, MaxBackoff: firjob.Duration(time.Minute)}
	const planned = firjob.StatePlanned
	tests := map[string]struct {
		ended firjob.Ended
		want  firjob.Verdict
	}{
		"succeeded":           {firjob.Ended{Outcome: firjob.OutcomeSucceeded, Answered: 1}, firjob.Verdict{State: firjob.StateSucceeded}},
		"cancelled":           {firjob.Ended{Outcome: firjob.OutcomeCancelled, Answered: 1}, firjob.Verdict{State: firjob.StateCancelled}},
		"failed first":        {firjob.Ended{Outcome: firjob.OutcomeFailed, Answered: 1}, firjob.Verdict{State: planned, Wait: time.Second}},
		"failed again":        {firjob.Ended{Outcome: firjob.OutcomeFailed, Answered: 2}, firjob.Verdict{State: planned, Wait: 2 * time.Second}},
		"failed last":         {firjob.Ended{Outcome: firjob.OutcomeFailed, Answered: 3}, firjob.Verdict{State: firjob.StateFailed}},
		"timed out first":     {firjob.Ended{Outcome: firjob.OutcomeTimedOut, Answered: 1}, firjob.Verdict{State: planned, Wait: time.Second}},
		"timed out last":      {firjob.Ended{Outcome: firjob.OutcomeTimedOut, Answered: 3}, firjob.Verdict{State: firjob.StateTimedOut}},
		"losses do not count": {firjob.Ended{Outcome: firjob.OutcomeFailed, Answered: 1, Lost: 4}, firjob.Verdict{State: planned, Wait: time.Second}},
		"failed at most once": {firjob.Ended{Outcome: firjob.OutcomeFailed, Answered: 1, Delivery: firjob.AtMostOnce},
			firjob.Verdict{State: planned, Wait: time.Second}},
		"permanent": {firjob.Ended{Outcome: firjob.OutcomeFailed, Answered: 1, Permanent: true, Reason: "no such account"},
			firjob.Verdict{State: firjob.StateFailed, Reason: "no such account; permanent: no further attempt"}},
		"permanent and retry after": {firjob.Ended{Outcome: firjob.OutcomeFailed, Answered: 1, Permanent: true, RetryAfter: 1, Reason: "no"},
			firjob.Verdict{State: firjob.StateFailed, Reason: "no; permanent: no further attempt"}},
		"retry after": {firjob.Ended{Outcome: firjob.OutcomeFailed, Answered: 1, RetryAfter: firjob.Duration(90 * time.Second), Reason: "busy"},
			firjob.Verdict{State: planned, Wait: 90 * time.Second, Reason: "busy; again after 1m30s, as the handler asked"}},
		"retry after, sooner than the backoff": {firjob.Ended{Outcome: firjob.OutcomeFailed, Answered: 2, RetryAfter: firjob.Duration(time.Millisecond), Reason: "busy"},
			firjob.Verdict{State: planned, Wait: time.Millisecond, Reason: "busy; again after 1ms, as the handler asked"}},
		"retry after a century": {firjob.Ended{Outcome: firjob.OutcomeFailed, Answered: 1, RetryAfter: 1 << 62, Reason: "busy"},
			firjob.Verdict{State: planned, Wait: firjob.MaxTimeout, Reason: "busy; again after 720h, as the handler asked"}},
		"retry after the last": {firjob.Ended{Outcome: firjob.OutcomeFailed, Answered: 3, RetryAfter: firjob.Duration(time.Second), Reason: "busy"},
			firjob.Verdict{State: firjob.StateFailed, Reason: "busy"}},
		"timed out, permanent": {firjob.Ended{Outcome: firjob.OutcomeTimedOut, Answered: 1, Permanent: true},
			firjob.Verdict{State: planned, Wait: time.Second}},
		"lost": {firjob.Ended{Outcome: firjob.OutcomeLost, Lost: 1, Reason: "no beat"},
			firjob.Verdict{State: planned, Reason: "no beat; sent again"}},
		"lost after answers": {firjob.Ended{Outcome: firjob.OutcomeLost, Lost: 1, Answered: 3, Reason: "no beat"},
			firjob.Verdict{State: planned, Reason: "no beat; sent again"}},
		"lost too often": {firjob.Ended{Outcome: firjob.OutcomeLost, Lost: firjob.MaxLost, Reason: "no beat"},
			firjob.Verdict{State: firjob.StateLost, Reason: "no beat; 5 attempts were lost"}},
		"lost at most once": {firjob.Ended{Outcome: firjob.OutcomeLost, Lost: 1, Reason: "no beat", Delivery: firjob.AtMostOnce},
			firjob.Verdict{State: firjob.StateLost, Reason: "no beat; not sent again: the job asks for at_most_once"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.ended.Retry = retry
			if got := tt.ended.After(0.5); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}
