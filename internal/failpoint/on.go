//go:build chaos

package failpoint

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Enabled reports whether the program was built with the tag.
const Enabled = true

// settings are what the environment said when the process first looked.
type settings struct {
	files   map[Point]string // that arm the points; none: there is no folder
	mutants []Mutant
}

var read = sync.OnceValues(func() (settings, error) { return parse(os.Getenv(EnvPoints), os.Getenv(EnvMutants)) })

func parse(folder, mutants string) (s settings, err error) {
	for _, name := range strings.FieldsFunc(mutants, func(r rune) bool { return r == ',' || r == ' ' }) {
		if !slices.Contains(Mutants(), Mutant(name)) {
			return s, fmt.Errorf("%s: %q is no mutant; want some of %q", EnvMutants, name, Mutants())
		}
		s.mutants = append(s.mutants, Mutant(name))
	}
	if folder == "" {
		return s, nil
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return s, fmt.Errorf("%s: %w", EnvPoints, err)
	}
	points := slices.Concat(ServerPoints(), ExecutorPoints())
	for _, e := range entries {
		if !slices.Contains(points, Point(e.Name())) {
			return s, fmt.Errorf("%s: %q in %s is no point; want some of %q", EnvPoints, e.Name(), folder, points)
		}
	}
	s.files = map[Point]string{}
	for _, p := range points {
		s.files[p] = filepath.Join(folder, string(p))
	}
	return s, nil
}

// Check returns an error if a setting names what there is not.
func Check() error {
	_, err := read()
	return err
}

// Crash ends the process if the point is armed and n, the number of what the
// process has in its hands, is not 0.
func Crash(p Point, n int) {
	s, _ := read()
	file := s.files[p]
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
	s, _ := read()
	file := s.files[p]
	for deadline := time.Now().Add(whenPatience); file != "" && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if _, err := os.Stat(file); err != nil {
			return
		}
		Crash(p, n())
	}
}

// Broken reports whether a guard is missing.
func Broken(m Mutant) bool {
	s, _ := read()
	return slices.Contains(s.mutants, m)
}

// Instead returns text, in a program without the guard with new in the place of
// old. It panics if old is not in text: then the guard is elsewhere by now.
func Instead(m Mutant, text, old, new string) string {
	if !Broken(m) {
		return text
	}
	if !strings.Contains(text, old) {
		panic(fmt.Sprintf("the mutant %s has lost its place: no %q in %q", m, old, text))
	}
	return strings.ReplaceAll(text, old, new)
}
