package firjob

import (
	"fmt"
	"math"
	"time"
)

// Retry says what follows an attempt that failed.
type Retry struct {
	MaxAttempts int         `json:"max_attempts"` // answered attempts in all; 1 = no retry
	Kind        BackoffKind `json:"kind"`         // how waits grow
	Backoff     Duration    `json:"backoff"`      // wait before the second attempt
	Factor      float64     `json:"factor"`       // by which each further wait grows, if exponential
	MaxBackoff  Duration    `json:"max_backoff"`  // cap of a wait, before jitter
	Jitter      float64     `json:"jitter"`       // 0.2 = each wait is up to 20 % shorter or longer
	On          RetryOn     `json:"on"`           // which executor gets it
}

// BackoffKind says how the waits between attempts grow.
type BackoffKind string

// The kinds: the wait after the n-th failed attempt, before cap and jitter.
const (
	BackoffExponential BackoffKind = "exponential" // Backoff × Factor^(n-1)
	BackoffLinear      BackoffKind = "linear"      // Backoff × n
	BackoffFixed       BackoffKind = "fixed"       // Backoff
)

// RetryOn says which executor gets the next attempt.
type RetryOn string

// The choices.
const (
	RetryAny   RetryOn = "any"   // as the route says
	RetryOther RetryOn = "other" // another one than before, if there is another
	RetrySame  RetryOn = "same"  // the same as before, as long as it lives
)

// DefaultRetry returns the retry rule of a job that names none: one attempt.
func DefaultRetry() Retry {
	return Retry{MaxAttempts: 1, Kind: BackoffExponential, Backoff: Duration(time.Second), Factor: 2,
		MaxBackoff: Duration(5 * time.Minute), Jitter: 0.2, On: RetryAny}
}

// Wait returns the pause after the n-th failed attempt (n ≥ 1): as Kind says, at
// most MaxBackoff, spread by Jitter. random is uniform in [0, 1).
func (r Retry) Wait(n int, random float64) time.Duration {
	wait := float64(r.Backoff)
	switch r.Kind {
	case BackoffLinear:
		wait *= float64(n)
	case BackoffFixed:
	default:
		wait *= math.Pow(r.Factor, float64(n-1))
	}
	wait = math.Min(wait, float64(r.MaxBackoff))
	wait *= 1 + r.Jitter*(2*random-1)
	return time.Duration(wait)
}

// MaxLost is how many attempts of one execution may end without an answer
// before it ends as lost. They are counted apart from those that Retry allows:
// a machine that dies says nothing about the handler, but a handler that kills
// each machine it runs on must stop some time.
const MaxLost = 5

// Ended is an attempt that ended in anything but success, and what its job
// says about that.
type Ended struct {
	Outcome  Outcome
	Answered int // attempts that were answered, this one included if it was
	Lost     int // attempts that were not, this one included if it was not
	Retry    Retry
	Delivery Delivery
	Reason   string
	// What the handler said of further attempts.
	Permanent  bool     // none: it would fail again
	RetryAfter Duration // not before this has passed, whatever the backoff; 0 = it said nothing
}

// Verdict is what becomes of an execution.
type Verdict struct {
	State  State         // planned: sent again after Wait
	Wait   time.Duration // from now
	Reason string
}

// After decides what follows an ended attempt. random is uniform in [0, 1).
//
//	succeeded, cancelled  final
//	failed, timed_out     again after Retry.Wait, or after what the handler asked
//	                      for, while answered attempts are left and the handler
//	                      did not call the failure permanent
//	lost                  again at once while less than MaxLost were lost,
//	                      never if the job asked for at_most_once
func (e Ended) After(random float64) Verdict {
	switch {
	case e.Outcome == OutcomeLost && e.Delivery == AtMostOnce:
		return Verdict{State: StateLost, Reason: e.Reason + "; not sent again: the job asks for at_most_once"}
	case e.Outcome == OutcomeLost && e.Lost < MaxLost:
		return Verdict{State: StatePlanned, Reason: e.Reason + "; sent again"}
	case e.Outcome == OutcomeLost:
		return Verdict{State: StateLost, Reason: fmt.Sprintf("%s; %d attempts were lost", e.Reason, e.Lost)}
	case e.Outcome == OutcomeFailed && e.Permanent:
		return Verdict{State: StateFailed, Reason: e.Reason + "; permanent: no further attempt"}
	case (e.Outcome == OutcomeFailed || e.Outcome == OutcomeTimedOut) && e.Answered < e.Retry.MaxAttempts:
		if e.RetryAfter > 0 {
			wait := min(e.RetryAfter.Std(), MaxTimeout)
			return Verdict{State: StatePlanned, Wait: wait,
				Reason: fmt.Sprintf("%s; again after %v, as the handler asked", e.Reason, Duration(wait))}
		}
		return Verdict{State: StatePlanned, Wait: e.Retry.Wait(e.Answered, random), Reason: e.Reason}
	}
	return Verdict{State: e.Outcome.State(), Reason: e.Reason}
}
