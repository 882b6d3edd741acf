package ports

import (
	"time"

	"github.com/firjob/firjob"
)

// ClaimBy is who claims and for how long.
type ClaimBy struct {
	Replica string
	Call    string        // tells this claim from the server's others, for Unclaim
	Lease   time.Duration // counted from the due instant or now, whichever is later
}

// ClaimResult sorts the ids that were given to Claim.
type ClaimResult struct {
	Claimed []Claimed            // ours to send
	Early   []firjob.Due         // not due yet by the store's clock: back to the queue
	Dropped []firjob.ExecutionID // final, running, waiting for their turn or unknown: out of the queue
	// Followed is what follows from those among Dropped that the claim ended.
	Followed Followed
}

// Claimed is an attempt that this server is to send.
type Claimed struct {
	App      string
	Route    firjob.Route
	Delivery firjob.Delivery
	DueAt    time.Time
	Priority int
	Trigger  firjob.Trigger // Lease is set by the sender
	// Dispatch is what the job says of its sending beyond Route; nil: nothing.
	Dispatch *Dispatch
	// Target is the address that a broadcast's shard is meant for; "" = any.
	Target string
	// Last is the executor of the attempt before; "" on the first.
	Last string
	// LostBy is the incarnation of the executor that left the attempt before without
	// an answer; "" if there was an answer, or no beat had named the attempt.
	LostBy string
}

// Dispatch is what a job says of its sending. The zero value says nothing.
type Dispatch struct {
	RouteKey   string            `json:"route_key,omitempty"`
	RouteOrder []string          `json:"route_order,omitempty"`
	Selector   map[string]string `json:"selector,omitempty"`
	Exclusive  bool              `json:"exclusive,omitempty"`
	RetryOn    firjob.RetryOn    `json:"retry_on,omitempty"`
	HTTP       *firjob.HTTPCall  `json:"http,omitempty"`
}

// DispatchOf returns what j says of its sending, nil if nothing but its route.
func DispatchOf(j firjob.Job) *Dispatch {
	d := Dispatch{RouteKey: j.RouteKey, RouteOrder: j.RouteOrder, Selector: j.Selector, Exclusive: j.Exclusive,
		HTTP: j.HTTP}
	if j.Retry.On != firjob.RetryAny {
		d.RetryOn = j.Retry.On
	}
	if d.RouteKey == "" && d.RouteOrder == nil && d.Selector == nil && !d.Exclusive && d.HTTP == nil &&
		d.RetryOn == "" {
		return nil
	}
	return &d
}

// Shard is one executor's part of a broadcast.
type Shard struct {
	Index   int
	Address string
}

// FinishItem is a result and who reports it.
type FinishItem struct {
	Executor firjob.ExecutorKey
	Result   firjob.Result
}

// Followed is what a change of executions leads to outside of the store.
type Followed struct {
	Announce  []firjob.Due         // planned again, or let in from the overlap queue: to be announced
	Plan      []firjob.JobID       // jobs whose next fire was just decided: to be planned at once
	Ended     []firjob.ExecutionID // final now: out of the queue
	Cancel    []Cancel             // running attempts that somebody has to be told to end
	Backfills []BackfillID         // that may go on
	Admit     bool                 // somebody waits for a place, and Admit may let them in before long

	Lost, TimedOut int // attempts that were ended without an answer, and at their deadline
}

// CancelByApp returns the attempts that are to be told to end, by their apps.
func (f Followed) CancelByApp() map[string][]firjob.AttemptRef {
	byApp := make(map[string][]firjob.AttemptRef)
	for _, c := range f.Cancel {
		byApp[c.App] = append(byApp[c.App], c.Attempt)
	}
	return byApp
}

// Cancel is an attempt to be cancelled, and the app whose executors may run it.
type Cancel struct {
	App     string
	Attempt firjob.AttemptRef
}

// FinishResult is the outcome of Finish.
type FinishResult struct {
	Receipts []firjob.Receipt
	Followed Followed
}

// Held is an attempt and the executor that holds it.
type Held struct {
	Executor firjob.ExecutorKey
	Attempt  firjob.AttemptRef
	Waiting  bool // its handler has not begun
}

// HoldResult is the outcome of Hold.
type HoldResult struct {
	Cancel []Held
	Stale  []Held
}
