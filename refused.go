package firjob

// Refused is the error of a send that certainly did not reach a handler and
// never will: nobody listened, the breaker was open, another process lives at
// the address. Its triggers may go to another executor at once. Any other
// error of a send leaves the outcome unknown.
type Refused struct {
	Reason string
	Cause  error
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
