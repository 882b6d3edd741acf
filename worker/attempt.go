package worker

import (
	"context"
	"time"

	"github.com/firjob/firjob"
)

// attempt is an accepted trigger. The table's lock guards the fields below the
// line.
type attempt struct {
	task      Task
	handler   Handler // nil: there is none of that name
	timeout   time.Duration
	sentAt    time.Time // by the server's clock; zero: not told
	exclusive bool      // the server is asked before the handler starts
	taken     time.Time // local; when the trigger was sent, as far as that can be told
	lease     time.Duration

	fence   time.Time               // when its lease is over, less the margin
	begun   bool                    // the handler starts, or did
	over    bool                    // the handler has returned, or never will be called
	cancel  context.CancelCauseFunc // nil while it waits in the queue
	stopped error                   // the cause for which it was ended, nil if it was not
}

// nameless reports whether a beat at now need not name the attempt, since the server
// asks for those that are older than after: never one that is exclusive, and none
// of whose lease an eighth is over, so that one beat that names it may be lost even
// if its lease is of the shortest.
func (a *attempt) nameless(now time.Time, after time.Duration) bool {
	return !a.exclusive && now.Sub(a.taken) < min(after, a.lease/8)
}

func (a *attempt) ref() firjob.AttemptRef {
	return firjob.AttemptRef{ID: a.task.ID, Token: a.task.Token}
}

// fenced returns how much of a lease a worker uses. The last fifth is left for
// the handlers to notice, and for clocks that run at different speeds.
func fenced(lease time.Duration) time.Duration { return lease - lease/5 }
