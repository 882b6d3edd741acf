package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"

	"github.com/firjob/firjob/internal/localstack"
)

// member is a process of a system that an experiment may hurt.
type member interface {
	PID() int
	Start() error // anew, once it has ended
	Kill() error  // as kill -9 does; returns when it is gone
	Pause() error // as SIGSTOP does
	Resume() error
}

// proc is this very program as another process.
type proc struct {
	name  string
	args  []string
	env   []string
	out   io.Writer
	child *localstack.Child
}

// Start starts it, anew after it has ended.
func (p *proc) Start() error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	cmd := exec.Command(self, p.args...)
	cmd.Env = append(os.Environ(), p.env...)
	cmd.Stdout, cmd.Stderr = p.out, p.out
	if p.child, err = localstack.Spawn(cmd); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	return nil
}

// PID returns the id of the process that runs, or ran last.
func (p *proc) PID() int { return p.child.PID() }

// Kill ends it at once.
func (p *proc) Kill() error {
	if err := p.child.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.child.Done()
	return nil
}

// Pause stops it in its tracks.
func (p *proc) Pause() error { return p.child.Signal(syscall.SIGSTOP) }

// Resume lets it go on.
func (p *proc) Resume() error { return p.child.Signal(syscall.SIGCONT) }

// stop asks it to end, and kills it when ctx ends first.
func (p *proc) stop(ctx context.Context) error {
	if p.child == nil {
		return nil
	}
	return p.child.End(ctx, syscall.SIGTERM)
}

// members are processes as an experiment sees them.
func members[P member](list []P) (all []member) {
	for _, p := range list {
		all = append(all, p)
	}
	return all
}
