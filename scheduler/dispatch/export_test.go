package dispatch

import (
	"errors"
	"time"

	"github.com/firjob/firjob"
)

// RetryAfter is when an open breaker lets one request try again.
const RetryAfter = retryAfter + time.Millisecond

// Break lets requests to an executor fail until its breaker opens.
func (s *Sender) Break(key firjob.ExecutorKey) {
	for range tripAfter {
		_ = s.breakers.do(key, time.Now(), func(*preference) error { return errors.New("broken") })
	}
}

// Mend lets a request to an executor succeed.
func (s *Sender) Mend(key firjob.ExecutorKey) {
	_ = s.breakers.do(key, time.Now(), func(*preference) error { return nil })
}
