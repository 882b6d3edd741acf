package worker

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"time"
)

// Waits between attempts to reach the server.
const (
	firstWait   = 100 * time.Millisecond
	longestWait = 5 * time.Second
	// slowWait is for refusals that only a person can mend.
	slowWait = 30 * time.Second
	// longestAfter bounds a Retry-After.
	longestAfter = 5 * time.Minute
)

// backoff returns the wait after the n-th failure in a row (n ≥ 1): twice the
// one before, up to longest, of which a random half is left out so that workers
// do not come back all at once.
func backoff(n int, longest time.Duration) time.Duration {
	const doublings = 10 // firstWait << 10 is beyond every longest
	return spread(min(firstWait<<min(n-1, doublings), longest))
}

// spread returns a random duration between wait/2 and wait.
func spread(wait time.Duration) time.Duration {
	return wait/2 + rand.N(wait/2+1)
}

// hopeless reports whether the same request will meet the same refusal until a
// person has changed something.
func hopeless(err error) bool {
	status := statusOf(err)
	return status >= 300 && status < 500 &&
		status != http.StatusTooManyRequests && status != http.StatusRequestTimeout
}

// worthLogging thins out the failures of a row: the 1st, 2nd, 4th, 8th and so on.
func worthLogging(n int) bool { return n&(n-1) == 0 }

// askedWait returns the wait that the server asked for, within reason.
func askedWait(err error) time.Duration {
	var answer *statusError
	if !errors.As(err, &answer) {
		return 0
	}
	return min(answer.after, longestAfter)
}
