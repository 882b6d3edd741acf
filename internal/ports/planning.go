package ports

import (
	"time"

	"github.com/firjob/firjob"
)

// Expand answers for one locked job which fires to record. now is the store's
// clock at the start of the transaction.
type Expand func(now time.Time, job firjob.Job, anchor time.Time) (Plan, error)

// Plan is what to record for one job. An error from Expand pauses the job with
// the error as its reason, so that one broken definition cannot stop the scan.
type Plan struct {
	Fires  []time.Time // to be sent, ascending
	Missed *Missed     // fires that are not run, as one record; nil if none
	Next   time.Time   // the first fire not recorded yet; zero = none
}

// Missed is a run of fires that the misfire policy leaves out.
type Missed struct {
	From, Until time.Time // the first and the last
	Count       int
	Reason      string
}
