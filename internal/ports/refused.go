package ports

import "net/http"

// Refused is the error of a send that certainly did not reach a handler and
// never will: nobody listened, the breaker was open, another process lives at
// the address. Its triggers may go to another executor at once. Any other
// error of a send leaves the outcome unknown.
type Refused struct {
	Reason string
	Status int // of the HTTP answer; 0 if there was none
	Cause  error
}

// Unreadable reports whether the executor could not read the request as a
// whole: one of its triggers is at fault, and the others may do without it.
func (r *Refused) Unreadable() bool {
	return r.Status == http.StatusBadRequest || r.Status == http.StatusRequestEntityTooLarge ||
		r.Status == http.StatusUnprocessableEntity
}

// Error returns the reason and the cause.
func (r *Refused) Error() string {
	if r.Cause == nil {
		return r.Reason
	}
	return r.Reason + ": " + r.Cause.Error()
}

// Unwrap returns the cause.
func (r *Refused) Unwrap() error { return r.Cause }
