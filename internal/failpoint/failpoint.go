// Package failpoint breaks the program on purpose, so that it can be shown that
// the harm is survived, or seen. It does so only in a build with the tag "chaos":
//
//	go build -tags chaos ./cmd/firjob
//
// In any other build its functions do nothing, the compiler removes their calls,
// and not even the names below are in the program.
//
// At a point the process can be made to die: FIRJOB_FAILPOINTS names a folder, and
// whoever puts a file there that is named like the point arms it. The process takes
// the file away and dies, as by kill -9, when it next passes with something in its
// hands.
//
// A mutant is the program without one of its guards. FIRJOB_MUTANT names those that
// are to be missing, separated by commas, from the start to the end of the process.
package failpoint

// The settings. A name that is none is an error at the start; see [Check].
const (
	EnvPoints  = "FIRJOB_FAILPOINTS"
	EnvMutants = "FIRJOB_MUTANT"
)

// Point is a place in the program, between two steps that belong together.
type Point string

// The points of a server, in the order in which an execution passes them.
const (
	AfterPlan    Point = "after-plan"    // fires are recorded in Postgres and not announced in Redis
	AfterPop     Point = "after-pop"     // taken from the queue in Redis, not claimed in Postgres
	AfterCommit  Point = "after-commit"  // claimed in Postgres, not held or sent
	AfterSend    Point = "after-send"    // the executor has answered, and the server has noted nothing
	BeforeAnswer Point = "before-answer" // results are committed, the executor is not told
)

// The points of an executor.
const (
	AfterAccept  Point = "after-accept"  // attempts are accepted, none has begun, the server is not told
	AfterBegin   Point = "after-begin"   // handlers of a batch have begun, the server is not told that it is accepted
	AfterHandler Point = "after-handler" // a handler has returned, its result is not in the spool
	AfterSpool   Point = "after-spool"   // results are in the spool and not sent
)

// ServerPoints returns the points that servers pass.
func ServerPoints() []Point {
	return []Point{AfterPlan, AfterPop, AfterCommit, AfterSend, BeforeAnswer}
}

// ExecutorPoints returns the points that executors pass.
func ExecutorPoints() []Point { return []Point{AfterAccept, AfterBegin, AfterHandler, AfterSpool} }

// Mutant is a guard that is missing.
type Mutant string

// The mutants of a server.
const (
	FireForgotten       Mutant = "fire-forgotten"       // the planner goes past the last fire of each plan without recording it
	NeverAnnounced      Mutant = "never-announced"      // what is planned is not put into the queue in Redis
	LateFiresDropped    Mutant = "late-fires-dropped"   // fires beyond the grace are neither run nor recorded as missed
	SupersedeSkipped    Mutant = "supersede-skipped"    // a change of a job leaves the fires that it had planned
	VersionIgnored      Mutant = "version-ignored"      // a claim takes fires of an older version, and of a paused job
	StateIgnored        Mutant = "state-ignored"        // a claim takes what runs or has ended
	TokenKept           Mutant = "token-kept"           // a further attempt has the token of the one before
	NotHeld             Mutant = "not-held"             // what is claimed is sent at once, before its instant
	SentUnchecked       Mutant = "sent-unchecked"       // an attempt is sent without a look at its lease and its claim
	UnknownIsRefused    Mutant = "unknown-is-refused"   // a request without an answer counts as one that did not arrive
	EpochIgnored        Mutant = "epoch-ignored"        // the queue is not rebuilt when Redis has lost everything
	NoSweep             Mutant = "no-sweep"             // nobody looks for what is overdue, or whose lease has ended
	LeasesNeverEnd      Mutant = "leases-never-end"     // nobody looks for attempts whose lease has ended
	LostIsFinal         Mutant = "lost-is-final"        // an attempt without an answer is the last one
	ResultOfAnyToken    Mutant = "result-of-any-token"  // a result counts whatever attempt it is of
	AnsweredUncommitted Mutant = "answered-uncommitted" // results are answered for before they are committed
	ChildApart          Mutant = "child-apart"          // the child is recorded in a transaction of its own, after the parent's
	SlotNotTaken        Mutant = "slot-not-taken"       // an execution runs though every place of its job is taken
	SlotNotReleased     Mutant = "slot-not-released"    // an execution that ends keeps the place of its job
)

// The mutants of an executor.
const (
	TokenIgnored Mutant = "token-ignored" // a trigger is taken whatever tokens of its execution were seen
	SpoolSkipped Mutant = "spool-skipped" // results are kept in memory only
)

// Mutants returns all of them.
func Mutants() []Mutant {
	return []Mutant{
		FireForgotten, NeverAnnounced, LateFiresDropped, SupersedeSkipped, VersionIgnored, StateIgnored, TokenKept, NotHeld,
		SentUnchecked, UnknownIsRefused, EpochIgnored, NoSweep, LeasesNeverEnd, LostIsFinal, ResultOfAnyToken,
		AnsweredUncommitted, ChildApart, SlotNotTaken, SlotNotReleased, TokenIgnored, SpoolSkipped,
	}
}
