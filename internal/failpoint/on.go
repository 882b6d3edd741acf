//go:build chaos

package failpoint

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Enabled reports whether the program was built with the tag.
const Enabled = true

// files arm the points, by point; none if there is no folder. It is read when the
// process first looks.
var files = sync.OnceValues(func() (map[Point]string, error) { return parse(os.Getenv(EnvPoints)) })

func parse(folder string) (map[Point]string, error) {
	if folder == "" {
		return nil, nil
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", EnvPoints, err)
	}
	points := slices.Concat(ServerPoints(), ExecutorPoints())
	for _, e := range entries {
		if !slices.Contains(points, Point(e.Name())) {
			return nil, fmt.Errorf("%s: %q in %s is no point; want some of %q", EnvPoints, e.Name(), folder, points)
		}
	}
	files := map[Point]string{}
	for _, p := range points {
		files[p] = filepath.Join(folder, string(p))
	}
	return files, nil
}

// Check returns an error if a setting names what there is not.
func Check() error {
	_, err := files()
	return err
}

// Crash ends the process if the point is armed and n, the number of what the
// process has in its hands, is not 0.
func Crash(p Point, n int) {
	armed, _ := files()
	file := armed[p]
	if n == 0 || file == "" || syscall.Unlink(file) != nil {
		return
	}
	for { // the signal to oneself may come a moment later
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
}

// whenPatience bounds how long CrashWhen asks.
const whenPatience = 200 * time.Millisecond

// CrashWhen ends the process if the point is armed and n soon returns a number
// other than 0. It calls n each millisecond, and only if the point is armed.
func CrashWhen(p Point, n func() int) {
	armed, _ := files()
	file := armed[p]
	for deadline := time.Now().Add(whenPatience); file != "" &&
		time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if _, err := os.Stat(file); err != nil {
			return
		}
		Crash(p, n())
	}
}
