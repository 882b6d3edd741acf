package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/firjob/firjob/scripts/peers/judge"
)

// The environment of a process that plays a part in a system.
const (
	roleEnv   = "PEERS_ROLE"   // the file with its role
	linesEnv  = "PEERS_LINES"  // the file that its handlers write to
	firjobEnv = "PEERS_FIRJOB" // the firjob program
)

// role is what a process has to do, besides what its command says.
type role struct {
	Name     string        `json:"name"`
	Database string        `json:"database,omitempty"` // URL of Postgres
	Redis    string        `json:"redis,omitempty"`    // URL
	Ticks    []tick        `json:"ticks,omitempty"`    // of a scheduler
	Retain   time.Duration `json:"retain,omitempty"`   // asynq: give each tick one task id, kept this long
	Tuned    bool          `json:"tuned,omitempty"`    // for throughput
	// the file to keep the number of executions in, in place of lines
	Count string `json:"count,omitempty"`
}

// save writes the role into dir and returns the environment that leads to it.
func (r role) save(dir string) (env string, err error) {
	text, err := json.Marshal(r)
	if err != nil {
		return "", fmt.Errorf("save the role of %s: %w", r.Name, err)
	}
	path := filepath.Join(dir, r.Name+".json")
	return roleEnv + "=" + path, os.WriteFile(path, text, 0o600)
}

// loadRole reads the role of this process.
func loadRole() (r role, err error) {
	text, err := os.ReadFile(os.Getenv(roleEnv))
	if err != nil {
		return r, fmt.Errorf("read the role: %w", err)
	}
	return r, json.Unmarshal(text, &r)
}

// work is what every task carries, in every system.
type work struct {
	Key    string `json:"key"`
	Millis int    `json:"ms,omitempty"`
}

func workOf(t task) work { return work{Key: t.Key, Millis: int(t.Work.Milliseconds())} }

// slice is how often a handler looks whether it was told to stop.
const slice = 50 * time.Millisecond

// perform is the handler of every system: it writes down that it starts, works in
// slices, and writes down whether it did all of its work or was told to stop.
func perform(ctx context.Context, out *judge.Writer, l judge.Line, w work) error {
	l.Key, l.Event = w.Key, judge.Start
	if err := out.Write(l); err != nil {
		return err
	}
	for left := time.Duration(w.Millis) * time.Millisecond; left > 0; left -= slice {
		if !passed(ctx, min(left, slice)) {
			l.Event = judge.Abort
			if err := out.Write(l); err != nil {
				return err
			}
			return context.Cause(ctx)
		}
	}
	l.Event = judge.End
	return out.Write(l)
}

// passed lets d pass and reports whether ctx still goes on.
func passed(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
