// Package mutants builds the program without some of its guards, so that it can be
// shown that the checker finds out each guard that is missing. No mutant is in the
// sources of the product: each is an edit of them, which "go build -overlay" applies.
//
// All mutants are in one binary. The environment of a process chooses those that it
// has, by [Env].
package mutants

// Env names the variable that names the mutants of a process, separated by commas.
const Env = "FIRJOB_MUTANT"

// Mutant is the name of a guard that is missing.
type Mutant string

// The mutants of a server.
const (
	// the planner goes past the last fire of each plan without recording it.
	FireForgotten       Mutant = "fire-forgotten"
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
	// the child is recorded in a transaction of its own, after the parent's.
	ChildApart      Mutant = "child-apart"
	SlotNotTaken    Mutant = "slot-not-taken"    // an execution runs though every place of its job is taken
	SlotNotReleased Mutant = "slot-not-released" // an execution that ends keeps the place of its job
)

// The mutants of an executor.
const (
	TokenIgnored Mutant = "token-ignored" // a trigger is taken whatever tokens of its execution were seen
	SpoolSkipped Mutant = "spool-skipped" // results are kept in memory only
)

// All returns all of them.
func All() []Mutant {
	return []Mutant{
		FireForgotten, NeverAnnounced, LateFiresDropped, SupersedeSkipped, VersionIgnored, StateIgnored, TokenKept,
		NotHeld,
		SentUnchecked, UnknownIsRefused, EpochIgnored, NoSweep, LeasesNeverEnd, LostIsFinal, ResultOfAnyToken,
		AnsweredUncommitted, ChildApart, SlotNotTaken, SlotNotReleased, TokenIgnored, SpoolSkipped,
	}
}
