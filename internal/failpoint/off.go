//go:build !chaos

package failpoint

// Enabled reports whether the program was built with the tag.
const Enabled = false

// Check returns an error if a setting names what there is not.
func Check() error { return nil }

// Crash ends the process if the point is armed and n, the number of what the
// process has in its hands, is not 0.
func Crash(Point, int) {}

// CrashWhen ends the process if the point is armed and n soon returns a number
// other than 0.
func CrashWhen(Point, func() int) {}
