package dev

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/cmd/firjob/internal/console"
	"github.com/firjob/firjob/internal/cluster"
	"github.com/firjob/firjob/internal/localstack"
)

// devState is what dev keeps between runs: a folder that this process alone
// uses, with the data of the private stores and two secrets.
type devState struct {
	dir     string // "": nothing is kept
	token   string // of the API
	secret  string // of the demo app
	fresh   bool   // the folder had no data
	release func() error
}

// The entries of the folder that dev makes. Reset deletes these alone.
var devEntries = []string{"postgres", "redis", "spool", tokenFile, secretFile}

const (
	tokenFile  = "admin-token"
	secretFile = "demo-secret"
)

// openState takes the folder and reads what is kept there, or makes it.
func (c *Cmd) openState() (*devState, error) {
	if c.Ephemeral && (c.Dir != "" || c.Reset) {
		return nil, console.Usagef("--ephemeral keeps nothing, so it cannot be used with --dir or --reset")
	}
	if c.Dir == "" && !c.Reset && (c.Ephemeral || c.Check) {
		return &devState{token: c.Token, secret: cluster.Secret(), fresh: true}, nil
	}
	s := &devState{dir: c.Dir}
	if s.dir == "" {
		state, err := localstack.StateDir()
		if err != nil {
			return nil, fmt.Errorf("%w; name a folder with --dir, or keep nothing with --ephemeral", err)
		}
		s.dir = filepath.Join(state, "dev")
	}
	if err := s.take(c.Reset); err != nil {
		return nil, err
	}
	if err := s.read(c.Token); err != nil {
		return nil, errors.Join(err, s.release())
	}
	return s, nil
}

// take locks the folder and, with reset, empties it.
func (s *devState) take(reset bool) (err error) {
	s.release, err = localstack.Lock(s.dir)
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return console.Usagef("another firjob dev uses the data in %s; stop it, "+
			"or choose another folder with --dir, or keep nothing with --ephemeral", s.dir)
	case err != nil:
		return fmt.Errorf("cannot use %s for data: %w; name another folder with --dir, "+
			"or keep nothing with --ephemeral", s.dir, err)
	case !reset:
		return nil
	}
	for _, name := range devEntries {
		if err := os.RemoveAll(s.path(name)); err != nil {
			return errors.Join(fmt.Errorf("reset the data: %w", err), s.release())
		}
	}
	return nil
}

func (s *devState) read(token string) (err error) {
	if _, err := os.Stat(s.path("postgres")); errors.Is(err, fs.ErrNotExist) {
		s.fresh = true
	}
	if s.secret, err = keptSecret(s.path(secretFile)); err != nil {
		return err
	}
	if s.token = token; token == "" {
		s.token, err = keptSecret(s.path(tokenFile))
	}
	return err
}

// keptSecret reads the secret in a file, or makes both.
func keptSecret(path string) (string, error) {
	text, err := os.ReadFile(path)
	secret := strings.TrimSpace(string(text))
	switch {
	case err == nil && len(secret) < firjob.MinSecretSize:
		return "", fmt.Errorf("the secret in %s is shorter than %d characters; start again with --reset", path,
			firjob.MinSecretSize)
	case err == nil:
		return secret, nil
	case !errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("read a kept secret: %w", err)
	}
	secret = cluster.Secret()
	if err := os.WriteFile(path, []byte(secret+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("keep a secret for the next run: %w", err)
	}
	return secret, nil
}

// path is "" where nothing is kept.
func (s *devState) path(name string) string {
	if s.dir == "" {
		return ""
	}
	return filepath.Join(s.dir, name)
}

// greeting says what is being started, and why that may take a while.
func (s *devState) greeting(ownPostgres bool) string {
	if s.fresh && ownPostgres {
		return "starting; making a new database takes a few seconds"
	}
	return "starting"
}

// kept says what the next run will find.
func (s *devState) kept() string {
	if s.dir == "" {
		return "nothing is kept"
	}
	return "the next run goes on with the data in " + s.dir
}

// close gives the folder back. It can only fail for a lock that is gone anyway.
func (s *devState) close() {
	if s.release != nil {
		_ = s.release()
	}
}
