package failpoint_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/firjob/firjob/internal/failpoint"
)

// build makes a program and returns its path.
func build(t *testing.T, name, pkg string, flags ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	args := slices.Concat([]string{"build", "-o", path}, flags, []string{pkg})
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		t.Fatalf("go %q: %v\n%s", args, err, out)
	}
	return path
}

// names are what a program has in it if anybody can make it die.
func names() []string {
	list := []string{failpoint.EnvPoints}
	for _, p := range slices.Concat(failpoint.ServerPoints(), failpoint.ExecutorPoints()) {
		list = append(list, string(p))
	}
	return list
}

func TestOnlyAProgramWithTheTagHasCrashPoints(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds the program twice")
	}
	for _, test := range []struct {
		flags []string
		want  bool
	}{{nil, false}, {[]string{"-tags", "chaos"}, true}} {
		program, err := os.ReadFile(build(t, "firjob", "../../cmd/firjob", test.flags...))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names() {
			if got := bytes.Contains(program, []byte(name)); got != test.want {
				t.Errorf("go build %q: %q is in the program: %v, want %v", test.flags, name, got, test.want)
			}
		}
	}
}

func TestNamesDiffer(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, name := range names() {
		if seen[name] || name == "" {
			t.Errorf("%q is there twice, or empty", name)
		}
		seen[name] = true
	}
}

// victim is the program testdata/crash.
type victim struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.Writer
	out *bufio.Reader
}

func start(t *testing.T, program string, env ...string) *victim {
	t.Helper()
	v := &victim{t: t, cmd: exec.Command(program)}
	v.cmd.Env = append(os.Environ(), env...)
	in, err := v.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := v.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := v.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.cmd.Process.Kill(); _ = v.cmd.Wait() })
	v.in, v.out = in, bufio.NewReader(out)
	return v
}

// pass makes it pass the point and returns what it says then, "" if nothing.
func (v *victim) pass(with string) string {
	fmt.Fprintln(v.in, with)
	return v.line()
}

func (v *victim) line() string {
	line, _ := v.out.ReadString('\n')
	return strings.TrimSpace(line)
}

func arm(t *testing.T, folder string, p failpoint.Point) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(folder, string(p)), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// At a point that waits, the process dies only once it has something in its hands.
func TestAProcessDiesWhenItHasSomething(t *testing.T) {
	t.Parallel()
	program, folder := build(t, "crash", "./testdata/crash", "-tags", "chaos"), t.TempDir()
	v := start(t, program, failpoint.EnvPoints+"="+folder)
	v.line()
	arm(t, folder, failpoint.AfterBegin)
	if got := v.pass("nothing"); got != "alive" {
		t.Fatalf("with nothing in its hands: %q", got)
	}
	if got := v.pass("something"); got != "" {
		t.Fatalf("at the armed point it said %q, want that it dies", got)
	}
}

func TestAProcessDiesWhereItIsTold(t *testing.T) {
	t.Parallel()
	program, folder := build(t, "crash", "./testdata/crash", "-tags", "chaos"), t.TempDir()
	v := start(t, program, failpoint.EnvPoints+"="+folder)
	if got, want := v.line(), "enabled: true"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	arm(t, folder, failpoint.AfterSend) // another point
	if got := v.pass("something"); got != "alive" {
		t.Fatalf("at a point that is not armed: %q", got)
	}
	arm(t, folder, failpoint.AfterPop)
	if got := v.pass("nothing"); got != "alive" {
		t.Fatalf("with nothing in its hands: %q", got)
	}
	if got := v.pass("something"); got != "" {
		t.Fatalf("at the armed point it said %q, want that it dies", got)
	}
	_ = v.cmd.Wait()
	if status := v.cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGKILL {
		t.Errorf("it ended with %v, want that it was killed", v.cmd.ProcessState)
	}
	if _, err := os.Stat(filepath.Join(folder, string(failpoint.AfterPop))); !os.IsNotExist(err) {
		t.Errorf("the file that armed the point is still there: %v", err)
	}
	again := start(t, program, failpoint.EnvPoints+"="+folder)
	if again.line(); again.pass("something") != "alive" {
		t.Error("the next process died, too, though nobody armed the point again")
	}
}

func TestSettingsCount(t *testing.T) {
	t.Parallel()
	tagged, plain := build(t, "crash", "./testdata/crash", "-tags", "chaos"), build(t, "crash", "./testdata/crash")
	stray := t.TempDir()
	arm(t, stray, "after-lunch")
	for name, test := range map[string]struct {
		program string
		env     []string
		want    string
	}{
		"no folder":      {tagged, []string{failpoint.EnvPoints + "=/nowhere"}, "FIRJOB_FAILPOINTS: open /nowhere: no such file or directory"},
		"no point":       {tagged, []string{failpoint.EnvPoints + "=" + stray}, `FIRJOB_FAILPOINTS: "after-lunch" in ` + stray + ` is no point`},
		"no tag, no say": {plain, []string{failpoint.EnvPoints + "=/nowhere"}, "enabled: false"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := start(t, test.program, test.env...).line(); !strings.HasPrefix(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
