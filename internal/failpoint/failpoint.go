// Package failpoint breaks the program on purpose, so that it can be shown that
// the harm is survived. It does so only in a build with the tag "chaos":
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
package failpoint

// EnvPoints names the folder. A file in it that is named like no point is an error
// at the start; see [Check].
const EnvPoints = "FIRJOB_FAILPOINTS"

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
