package dev

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
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
