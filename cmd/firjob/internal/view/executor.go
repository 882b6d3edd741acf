package view

import (
	"cmp"
	"slices"
	"strings"

	"github.com/firjob/firjob"
)

// Executor is an executor as the API shows it.
type Executor struct {
	firjob.Executor
	Live    bool   `json:"live"`
	Mute    bool   `json:"mute"` // it answers at its port, and its beats do not arrive
	Breaker string `json:"breaker"`
	// LastError is how the latest request that failed ended, however long ago.
	LastError string   `json:"last_error"`
	Handlers  []string `json:"handlers"` // nil from servers that do not tell
	Mark      *struct {
		Reason string `json:"reason"`
	} `json:"mark"`
}

// Note says what keeps an executor from getting work.
func (e Executor) Note() string {
	var list []string
	if e.Breaker != "closed" && e.Breaker != "" {
		list = append(list, cmp.Or(e.LastError, "its last requests failed"))
	}
	if e.Mark != nil && e.Mark.Reason != "" {
		list = append(list, e.Mark.Reason)
	}
	return strings.Join(list, "; ")
}

// MissingHandler says that no live executor of an app has a handler; "" if one has,
// or it is not known of all of them.
func MissingHandler(handler string, executors []Executor) string {
	live := 0
	for _, e := range executors {
		if e.Live && (e.Handlers == nil || slices.Contains(e.Handlers, handler)) {
			return ""
		}
		if e.Live {
			live++
		}
	}
	if live == 0 {
		return "no executor of the app is alive"
	}
	return "no live executor of the app has it"
}
