package checker

import (
	"time"

	"golang.org/x/sys/unix"
)

// Stamped returns the event with the present time, on both clocks.
func Stamped(e Event) Event {
	e.Mono, e.Wall = mono(), time.Now()
	return e
}

// mono reads the system's monotonic clock, which all processes of this machine
// share and nobody can set.
func mono() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic(err) // the clock exists on every Unix
	}
	return time.Duration(ts.Nano())
}
