package scheduler

import (
	"context"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/scheduler/outbound"
)

// Store is what the scheduler asks of Postgres, which decides everything.
// Every method is one transaction: on error nothing has changed, or, if the
// connection was lost during the commit, the next pass finds out.
type Store interface {
	// Now returns the store's clock.
	Now(ctx context.Context) (time.Time, error)

	// PlanDue locks up to limit jobs whose next fire is due before now+horizon,
	// skipping those that another server has locked, asks expand for the fires
	// of each, records them and advances the job. It returns the open
	// executions that were planned, and how many jobs were taken.
	PlanDue(ctx context.Context, horizon time.Duration, limit int, expand ports.Expand) (planned []firjob.Due,
		taken int, err error)
	// PlanJobs does the same for the named jobs, waiting for their locks. Jobs
	// whose next fire is beyond the horizon are left alone. Many jobs take several
	// transactions: on error it returns what those before the error have committed.
	PlanJobs(ctx context.Context, jobs []firjob.JobID, horizon time.Duration, expand ports.Expand) ([]firjob.Due, error)
	// PlanLater moves up to limit triggers that were asked for a later time,
	// and are now due within the horizon, among the executions.
	PlanLater(ctx context.Context, horizon time.Duration, limit int) (planned []firjob.Due, taken int, err error)

	// Claim makes the executions named by ids running for this server, where
	// the rules allow it: still planned, due within a second, job enabled and
	// unchanged, misfire and overlap rules met.
	Claim(ctx context.Context, ids []firjob.ExecutionID, by ports.ClaimBy) (ports.ClaimResult, error)
	// Unclaim undoes one call of Claim, whose commit may or may not have taken
	// place because its answer was lost. What any other call has claimed stays
	// as it is.
	Unclaim(ctx context.Context, by ports.ClaimBy, ids []firjob.ExecutionID) error
	// Release gives back attempts that were claimed and certainly never ran.
	// They are due again after delay and the attempt does not count. It returns
	// those that were still current.
	Release(ctx context.Context, attempts []firjob.AttemptRef, delay time.Duration, reason string) ([]firjob.Due, error)
	// DuePlanned returns up to limit planned executions that are due before
	// now+lead and do not wait for their turn, earliest id first. It is the
	// delay queue of the degraded mode.
	DuePlanned(ctx context.Context, lead time.Duration, limit int) ([]firjob.Due, error)

	// Broadcast spreads the broadcast whose attempt is given over the targets,
	// addresses in the order of the shards. Nothing is done if the attempt is not
	// current any more, which is also so after a first call. More than
	// firjob.MaxShards targets fail the execution; there must be one.
	Broadcast(ctx context.Context, attempt firjob.AttemptRef, targets []string) (ports.Followed, error)
	// Admit lets those in that time alone, an edit or a limit that was lifted has
	// made room for, and returns after how long the next call is worth while.
	// Those for whom a claim or an end makes room are let in by that.
	Admit(ctx context.Context) (followed ports.Followed, next time.Duration, err error)

	// Finish records results, with what follows from them, in one transaction.
	// Receipts are in the order of results.
	Finish(ctx context.Context, results []ports.FinishItem) (ports.FinishResult, error)
	// Current returns those of the attempts that are still running with the
	// same token.
	Current(ctx context.Context, attempts []firjob.AttemptRef) ([]firjob.AttemptRef, error)
	// Doubt notes why it is unknown whether an executor has the attempts, in the
	// place of an earlier reason. Those that are not current any more, or that
	// somebody asked to cancel, are left alone.
	Doubt(ctx context.Context, attempts []firjob.AttemptRef, reason string) error
	// Holders returns which executors of an app the store knows to hold the attempts.
	// Attempts that are not current any more, or that no executor has named yet,
	// are missing.
	Holders(ctx context.Context, app string, attempts []firjob.AttemptRef) ([]ports.Held, error)
	// Lose ends attempts without an answer; those that are not current any
	// more, or exclusive and begun, are left alone.
	Lose(ctx context.Context, attempts []firjob.AttemptRef, reason string) (ports.Followed, error)
	// LoseExecutor ends the running attempts that a beat has shown to be on an
	// executor that is gone, but for exclusive ones that were begun: their lease
	// decides.
	LoseExecutor(ctx context.Context, executor firjob.ExecutorKey, reason string) (ports.Followed, error)
	// LoseReplica ends the attempts that a server that is gone had claimed and
	// that no executor has ever named in a beat, and the HTTP calls that it made.
	// Claims made at before, by the store's clock, or later are left alone: the
	// server came back to make them.
	LoseReplica(ctx context.Context, replica string, before time.Time, reason string) (ports.Followed, error)
	// InQuestion tells how many attempts LoseReplica would end, and the apps of
	// those that an executor may have.
	InQuestion(ctx context.Context, replica string, before time.Time) (n int, apps []string, err error)
	// HasSession reports whether a server is connected to the store.
	HasSession(ctx context.Context, replica string) (bool, error)
	// ExpireLeases ends up to limit attempts whose lease, or whose deadline,
	// has passed.
	ExpireLeases(ctx context.Context, limit int) (ports.Followed, error)
	// Hold notes which executor holds which attempts, renews their leases where
	// less than two thirds of lease are left, and tells which of the attempts
	// are to be cancelled and which are not current any more. The deadline of
	// one whose handler has not begun is put off.
	Hold(ctx context.Context, held []ports.Held, lease time.Duration) (ports.HoldResult, error)

	// Start decides which attempts an executor may begin, in their order, and
	// holds those for lease.
	Start(ctx context.Context, by firjob.ExecutorKey, attempts []firjob.AttemptRef, lease time.Duration) ([]bool, error)
	// AppendLogs stores chunks of log of an app's executions, each once. Of an
	// execution it keeps the newest limit bytes; it returns those of the attempts
	// whose execution has come to that. What belongs to no attempt of the app is
	// passed over.
	AppendLogs(ctx context.Context, app string, chunks []firjob.LogChunk, limit int) (cut []firjob.AttemptRef,
		err error)
	// SetProgress notes the progress of running attempts of an app; others are
	// passed over.
	SetProgress(ctx context.Context, app string, entries []firjob.ProgressEntry) error

	// OpenBackfills returns up to limit backfills that have not ended.
	OpenBackfills(ctx context.Context, limit int) ([]ports.BackfillID, error)
	// ContinueBackfill records the next fires of a backfill, as many as may be
	// open beside those that are, or ends it if nothing is left.
	ContinueBackfill(ctx context.Context, id ports.BackfillID) (ports.Followed, error)

	// Overdue returns up to limit executions that are planned, not waiting for
	// their turn, and due since longer than slack.
	Overdue(ctx context.Context, slack time.Duration, limit int) ([]firjob.Due, error)
	// Upcoming returns up to limit planned executions with an id above after
	// that are due before now+horizon, in the order of their ids.
	Upcoming(ctx context.Context, horizon time.Duration, after firjob.ExecutionID, limit int) ([]firjob.Due, error)

	// SaveExecutors writes beats to the snapshot of the registry.
	SaveExecutors(ctx context.Context, executors []firjob.Executor) error
	// Executors returns the executors of the snapshot that beat within maxAge,
	// with LastBeat by the store's clock.
	Executors(ctx context.Context, maxAge time.Duration) ([]firjob.Executor, error)
	// RemoveExecutor takes an executor out of the snapshot, unless another
	// incarnation has its place.
	RemoveExecutor(ctx context.Context, executor firjob.ExecutorKey) error

	// Marks returns everything that is set about executors.
	Marks(ctx context.Context) ([]firjob.Mark, error)

	// SigningKeys returns the key of each app.
	SigningKeys(ctx context.Context) (map[string][]byte, error)

	// MaintainPartitions makes the partitions of the coming days and drops
	// those older than the retention, each in a short transaction.
	MaintainPartitions(ctx context.Context, ahead int, retention time.Duration) error
}

// Queue is the delay queue in Redis. It is advice: it says when to look, the
// store says what is so.
type Queue interface {
	// Announce adds executions, or moves those that are there already, and
	// wakes the servers whose head became earlier.
	Announce(ctx context.Context, due []firjob.Due) error
	// Claim moves up to n executions of each shard that are due before
	// now+lead from due to lease, until now+lease. On an error the batch holds
	// what the shards that answered gave.
	Claim(ctx context.Context, shards []int, n int, lead, lease time.Duration) (ports.Batch, error)
	// Ack removes executions that need no more waking.
	Ack(ctx context.Context, ids []firjob.ExecutionID) error
	// Return puts claimed executions back, to be due as given.
	Return(ctx context.Context, due []firjob.Due) error
	// Reap puts back executions whose lease ended: up to n of each shard.
	Reap(ctx context.Context, shards []int, n int) (int, error)
	// Epoch returns the id of the index's present life, and whether this call
	// has begun it, because Redis held none: then the index must be rebuilt.
	Epoch(ctx context.Context) (epoch string, fresh bool, err error)
	// Wakes delivers a signal for each announcement that made a head earlier.
	// The channel is closed when ctx ends. Lost signals cost punctuality only.
	Wakes(ctx context.Context) <-chan ports.Wake
	// Depth returns how many executions each shard holds, due and leased.
	Depth(ctx context.Context) (due, leased []int64, err error)
}

// Registry is the executors and servers that live, in Redis.
type Registry interface {
	// Beat writes an executor and its beat.
	Beat(ctx context.Context, executor firjob.Executor) error
	// Leave removes an executor, unless another incarnation has its place.
	Leave(ctx context.Context, executor firjob.ExecutorKey) error
	// Executors returns every executor of every given app that beat within
	// maxAge, with LastBeat by Redis's clock and Age since then.
	Executors(ctx context.Context, apps []string, maxAge time.Duration) ([]ports.Alive, error)
	// Nudge tells every server to look at the executors of an app now.
	Nudge(ctx context.Context, app string) error
	// Nudges delivers the apps that servers are nudged about, by this one, too.
	// The channel is closed when ctx ends. What is lost the next refresh finds.
	Nudges(ctx context.Context) <-chan string

	// Turns takes the next turns of each ring, as many as are asked for, and
	// returns the number of the first of them. Over all servers each number is
	// given once. On error the map holds what was given.
	Turns(ctx context.Context, counts map[ports.Ring]int) (map[ports.Ring]uint64, error)
	// Choose picks an address for each choice by what is remembered of its job,
	// and remembers that. On error the picks that were not made are "".
	Choose(ctx context.Context, choices []ports.Choice) ([]string, error)

	// BeatReplica notes that a server lives and returns every server that
	// does; those that are gone, that have not beaten within maxAge; and those
	// that have, but not within endedAge, and whose line has ended since. The
	// gone are removed by ForgetReplica.
	BeatReplica(ctx context.Context, replica string, maxAge, endedAge time.Duration) (live, gone, ended []string,
		err error)
	// HoldLine keeps a server's line open until ctx ends: a connection that ends
	// with the process. It returns at once.
	HoldLine(ctx context.Context, replica string)
	// ForgetReplica removes a replica.
	ForgetReplica(ctx context.Context, replica string) error
}

// Sender is the sending side of the wire.
type Sender interface {
	// Send carries triggers to one executor in one request. On success the
	// answers are in the order of triggers. An error is either a
	// *firjob.Refused, which means that none of them has run or will, or leaves
	// that unknown.
	Send(ctx context.Context, to firjob.Executor, key []byte, sentAt time.Time,
		triggers []firjob.Trigger) ([]firjob.Acceptance, error)
	// Cancel asks an executor to cancel attempts.
	Cancel(ctx context.Context, to firjob.Executor, key []byte, now time.Time, attempts []firjob.AttemptRef) error
	// Probe asks an executor whether it still is the process it was. A
	// *firjob.Refused says that it is not; another error, that this is unknown.
	Probe(ctx context.Context, to firjob.Executor, key []byte, now time.Time) error
	// Holding asks an executor which attempts it has accepted and not yet got a
	// receipt for. A *firjob.Refused says that it is not there any more; another
	// error, that it did not say.
	Holding(ctx context.Context, to firjob.Executor, key []byte, now time.Time) ([]firjob.AttemptRef, error)
	// Ready reports whether the executor's breaker lets requests through.
	Ready(to firjob.Executor) bool
	// Contact returns how this server's triggers to an executor went.
	Contact(executor firjob.ExecutorKey) ports.Contact
	// Forget drops what is kept about an executor that is gone.
	Forget(executor firjob.ExecutorKey)
}

// Caller makes the requests of HTTP jobs.
type Caller interface {
	// Do makes a request and reads the answer, whatever its status. An
	// *outbound.MalformedError says that it cannot be made; any other error leaves
	// open what the other side has done.
	Do(ctx context.Context, request outbound.Request) (outbound.Response, error)
}
