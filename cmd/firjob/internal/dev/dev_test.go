package dev

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob/cmd/firjob/internal/console"
)

func openDevState(t *testing.T, c Cmd) *devState {
	t.Helper()
	state, err := c.openState()
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func TestDevKeepsItsTokenUntilReset(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	first := openDevState(t, Cmd{Dir: dir})
	if !first.fresh || len(first.token) < 32 || first.token == first.secret {
		t.Fatalf("a new folder: got %+v; want a fresh one with two secrets", first)
	}
	if info, err := os.Stat(filepath.Join(dir, tokenFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the token's file: got %v, %v; want one that only its owner reads", info, err)
	}
	mine := filepath.Join(dir, "notes")
	for _, path := range []string{filepath.Join(dir, "postgres", "data", "PG_VERSION"), mine} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("15"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	first.close()

	second := openDevState(t, Cmd{Dir: dir})
	if second.fresh || second.token != first.token || second.secret != first.secret {
		t.Errorf("the next run: got %+v, want the secrets of %+v", second, first)
	}
	second.close()
	chosen := openDevState(t, Cmd{Dir: dir, Token: "chosen"})
	if chosen.token != "chosen" {
		t.Errorf("the token is %q, want the one that was given", chosen.token)
	}
	chosen.close()

	third := openDevState(t, Cmd{Dir: dir, Reset: true})
	defer third.close()
	if !third.fresh || third.token == first.token || third.secret == first.secret {
		t.Errorf("after a reset: got %+v, want nothing of %+v", third, first)
	}
	if _, err := os.Stat(mine); err != nil {
		t.Errorf("a file that is not dev's, after a reset: %v", err)
	}
}

func TestDevSaysWhyItCannotUseAFolder(t *testing.T) {
	t.Parallel()
	used := filepath.Join(t.TempDir(), "used")
	state := openDevState(t, Cmd{Dir: used})
	defer state.close()
	short := t.TempDir()
	if err := os.WriteFile(filepath.Join(short, tokenFile), []byte("abc\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		cmd  Cmd
		want []string
	}{
		{"in use", Cmd{Dir: used}, []string{"another firjob dev uses", used, "stop it", "--dir", "--ephemeral"}},
		{"in use, reset", Cmd{Dir: used, Reset: true}, []string{"another firjob dev uses"}},
		{"short secret", Cmd{Dir: short}, []string{tokenFile, "--reset"}},
		{"a file", Cmd{Dir: file}, []string{file, "--dir", "--ephemeral"}},
		{"contradiction", Cmd{Dir: used, Ephemeral: true}, []string{"--ephemeral", "--dir"}},
		{"contradiction", Cmd{Reset: true, Ephemeral: true}, []string{"--ephemeral", "--reset"}},
	} {
		_, err := test.cmd.openState()
		for _, text := range test.want {
			if err == nil || !strings.Contains(err.Error(), text) {
				t.Errorf("%s: got %v, want it to name %q", test.name, err, text)
			}
		}
	}
	if _, err := os.Stat(filepath.Join(used, tokenFile)); err != nil {
		t.Errorf("a refused reset has deleted something: %v", err)
	}
}

func TestDevHoldsBackWhatItsProcessesSayWhileTheyStop(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	p := &devPrinter{printer: printer{w: &text, now: time.Now}}
	p.process("server-1", "before")
	p.hold()
	p.process("server-1", "late 1")
	if got := text.String(); !strings.Contains(got, "server-1  before\n") || strings.Contains(got, "late") {
		t.Errorf("got %q, want what was said before the stop alone", got)
	}
	for range heldLines {
		p.process("server-1", "late 2")
	}
	p.release()
	if got := text.String(); strings.Contains(got, "late 1") || strings.Count(got, "late 2\n") != heldLines {
		t.Errorf("got %q, want the latest %d lines", got, heldLines)
	}
}

// A line of a process has one time of day, and the same message comes once in 10 s.
func TestDevLeavesOutWhatAProcessRepeats(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	now := time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)
	p := &devPrinter{printer: printer{w: &text, now: func() time.Time { return now }}}
	away := func(at string) {
		p.process("server-1", "06:00:"+at+` WRN not ready component=httpapi error="at `+at+` \"x\"" request_id=`+at)
	}
	away("00.001")
	away("00.501")
	p.process("server-2", `06:00:00.600 WRN not ready component=httpapi error="at 2" request_id=2`)
	p.process("server-1", "06:00:00.700 WRN plan: failed component=scheduler")
	away("01.001")
	p.process("server-1", "a panic without a time")
	p.process("server-1", "a panic without a time")
	now = now.Add(similarFor)
	away("10.001")
	want := `06:00:00.000  server-1  WRN not ready component=httpapi error="at 00.001 \"x\"" request_id=00.001
06:00:00.000  server-2  WRN not ready component=httpapi error="at 2" request_id=2
06:00:00.000  server-1  WRN plan: failed component=scheduler
06:00:00.000  server-1  a panic without a time
06:00:00.000  server-1  a panic without a time
06:00:10.000  server-1  WRN not ready component=httpapi error="at 10.001 \"x\"" request_id=10.001 (and 2 similar lines before)
`
	if diff := cmp.Diff(want, text.String()); diff != "" {
		t.Errorf("printed (-want +got):\n%s", diff)
	}
}

func TestDevNamesHTTPAddrWhereItCannotListen(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for addr, want := range map[string]string{
		"nonsense":            `--http-addr "nonsense" is not an address such as 127.0.0.1:8080`,
		"127.0.0.1:99999":     `--http-addr "127.0.0.1:99999" is not an address such as 127.0.0.1:8080`,
		taken.Addr().String(): "another program listens at " + taken.Addr().String() + "; choose another address, such as --http-addr",
	} {
		c := &Cmd{Dir: filepath.Join(t.TempDir(), "data"), HTTPAddr: addr, Servers: 1, Workers: 1}
		err := c.Run(t.Context(), &console.Process{Stdout: io.Discard, Stderr: io.Discard, Now: time.Now, Env: func(string) string { return "" }})
		if !console.IsUsage(err) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: got %v, want a usage error that says %s", addr, err, want)
		}
	}
}
