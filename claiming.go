package firjob

import "time"

// ClaimBy is who claims and for how long.
type ClaimBy struct {
	Replica string
	Call    string        // tells this claim from the replica's others, for Unclaim
	Lease   time.Duration // counted from the due instant or now, whichever is later
}

// ClaimResult sorts the ids that were given to Claim.
type ClaimResult struct {
	Claimed []Claimed     // ours to send
	Early   []Due         // not due yet by the store's clock: back to the queue
	Dropped []ExecutionID // final, running, waiting for their turn or unknown: out of the queue
	// Followed is what follows from those among Dropped that the claim ended.
	Followed Followed
}

// Claimed is an attempt that this replica is to send.
type Claimed struct {
	App      string
	Route    Route
	Delivery Delivery
	DueAt    time.Time
	Trigger  Trigger // Lease is set by the sender
}

// FinishItem is a result and who reports it.
type FinishItem struct {
	Executor ExecutorKey
	Result   Result
}

// Followed is what a change of executions leads to outside of the store.
type Followed struct {
	Announce []Due         // planned again, or let in from the overlap queue: to be announced
	Plan     []JobID       // jobs whose next fire was just decided: to be planned at once
	Ended    []ExecutionID // final now: out of the queue
}

// FinishResult is the outcome of Finish.
type FinishResult struct {
	Receipts []Receipt
	Followed Followed
}

// Held is an attempt and the executor that holds it.
type Held struct {
	Executor ExecutorKey
	Attempt  AttemptRef
	Waiting  bool // its handler has not begun
}

// HoldResult is the outcome of Hold.
type HoldResult struct {
	Cancel []Held
	Stale  []Held
}
