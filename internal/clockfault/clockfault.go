// Package clockfault says what is wrong with a process's wall clock. Tests and the
// laboratory use it to show that a wrong clock changes nothing. The fault travels in a
// context, so that the options of an executor hold nothing of it.
package clockfault

import (
	"context"
	"time"
)

// Fault is what is wrong with a wall clock. The zero value is a right clock.
type Fault struct {
	Offset time.Duration // it is ahead by this
	Drift  int           // it runs fast, in parts per million
}

type key struct{}

// With returns a context in which the wall clock has the fault.
func With(ctx context.Context, f Fault) context.Context { return context.WithValue(ctx, key{}, f) }

// Of returns the fault of a context, the zero value if there is none.
func Of(ctx context.Context) Fault {
	f, _ := ctx.Value(key{}).(Fault)
	return f
}
