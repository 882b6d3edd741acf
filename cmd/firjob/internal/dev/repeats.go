package dev

import (
	"errors"
	"fmt"
	"time"

	"github.com/firjob/firjob/cmd/firjob/internal/client"
	"github.com/firjob/firjob/cmd/firjob/internal/console"
)

// repeatEvery is how often an error that stays the same is printed again.
const repeatEvery = 30 * time.Second

// repeats keeps a loop that meets the same error at every turn from printing it at
// every turn. The zero value has met none.
type repeats struct {
	text  string    // of the error that was met last
	shown time.Time // when it was printed last
	quiet int       // how often it was met since
}

// met returns the line to print about the outcome of a turn; "" for none.
func (r *repeats) met(err error, now time.Time) string {
	if err == nil {
		*r = repeats{}
		return ""
	}
	if text := withoutRequest(err); text != r.text {
		*r = repeats{text: text, shown: now}
		return err.Error()
	}
	r.quiet++
	since := now.Sub(r.shown)
	if since < repeatEvery {
		return ""
	}
	line := fmt.Sprintf("%s (%s in %v)", r.text, console.Counted(r.quiet, "more time", "more times"),
		since.Round(time.Second))
	r.shown, r.quiet = now, 0
	return line
}

// withoutRequest is the text of an error less the id of the request that met
// it, which no two have in common.
func withoutRequest(err error) string {
	var refused *client.Problem
	if !errors.As(err, &refused) {
		return err.Error()
	}
	same := *refused
	same.RequestID = ""
	return same.Error()
}
