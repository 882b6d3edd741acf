package worker

import (
	"errors"
	"fmt"
	"time"

	"github.com/firjob/firjob"
)

// longestRetryAfter bounds what RetryAfter asks for: no job can wait longer.
const longestRetryAfter = firjob.MaxTimeout

// Permanent marks an error that no further attempt would mend, such as params
// that make no sense: the execution fails at once, however many attempts its job
// allows. The mark counts wherever it is in the tree of a returned error, and
// before RetryAfter. errors.Is and errors.As see through it; Permanent(nil) is nil.
//
// It is about failures. An attempt that ends because of its timeout, a cancel
// or a lost lease is treated as if it was not there.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

type permanentError struct{ err error }

func (p *permanentError) Error() string { return p.err.Error() }
func (p *permanentError) Unwrap() error { return p.err }

// RetryAfter returns an error that asks for the next attempt once d has passed,
// in place of the wait that the job's retry rule would choose. It grants no
// attempt that the rule does not allow. It may be returned as it is or, so that
// the reason is not lost, together with another error:
//
//	return fmt.Errorf("the bank is closed: %w", worker.RetryAfter(time.Hour))
//	return errors.Join(err, worker.RetryAfter(time.Hour))
//
// d is rounded up to a millisecond and held between that, which is as good as at
// once, and 30 days. As with Permanent, it is about failures only.
func RetryAfter(d time.Duration) error {
	d = min(max(d, time.Millisecond), longestRetryAfter)
	return &laterError{(d + time.Millisecond - 1).Truncate(time.Millisecond)}
}

type laterError struct{ wait time.Duration }

func (l *laterError) Error() string {
	return fmt.Sprintf("try again after %v", firjob.Duration(l.wait))
}

// wish is what a handler's error says about further attempts.
type wish struct {
	permanent bool
	after     time.Duration // 0: as the job says
}

func wishOf(err error) wish {
	if err == nil {
		return wish{} // and nothing is allocated
	}
	var p *permanentError
	if errors.As(err, &p) {
		return wish{permanent: true}
	}
	var l *laterError
	if errors.As(err, &l) {
		return wish{after: l.wait}
	}
	return wish{}
}
