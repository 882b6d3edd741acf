package ports

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/firjob/firjob"
)

// Ring is the executors that take turns: those of an app that have the labels
// of a selector. Jobs with different selectors are counted apart; otherwise one
// that always fires between two others would always get the same executor.
type Ring struct {
	App      string
	Selector string // SelectorText of the jobs' selector
}

// SelectorText writes a selector in one way, by name: "gpu=true,zone=eu"; "" for
// none.
func SelectorText(selector map[string]string) string {
	if len(selector) == 0 {
		return ""
	}
	parts := make([]string, 0, len(selector))
	for _, name := range slices.Sorted(maps.Keys(selector)) {
		parts = append(parts, name+"="+selector[name])
	}
	return strings.Join(parts, ",")
}

// Choice asks which of some executors is to run an execution of a job, by what
// is remembered of the job's earlier ones.
type Choice struct {
	App   string
	Job   firjob.JobID
	Route firjob.Route // RouteLeastRecent, RouteLeastFrequent or RouteSticky
	Among []string     // addresses, at least one; of equals the first is taken
}

// Contact is how one server's triggers to an executor process went.
type Contact struct {
	BreakerOpen bool      // the last requests failed; until one succeeds, few are made
	LastError   string    // of the latest request that failed; "": none did
	LastErrorAt time.Time // by the store's clock
}

// ExecutorView is an executor as one server sees it.
type ExecutorView struct {
	firjob.Executor
	Contact
	SeenBy string               // the server
	Mark   *firjob.Mark         // what somebody has set about its address; nil: nothing
	Counts firjob.ExecutorState // the stricter of its own state and the mark's
	Live   bool                 // it beats, or answers at its port; false: there is only a mark
	Mute   bool                 // no beat has arrived for DeadAfter, but its port answers: it gets nothing new
}

// Selects reports whether the filter selects an executor.
func (f ExecutorFilter) Selects(v ExecutorView) bool {
	return (f.State == "" || f.State == v.Counts) && v.Fits(f.Labels)
}
