package localstack

import (
	"context"
	"os/exec"
	"syscall"
)

// Child is any other child process with the manners of the servers here: it
// has a process group of its own, and it ends when its owner does.
type Child struct {
	proc *process
}

// Spawn starts cmd. When the owner dies the child is killed, where the system
// can do that.
func Spawn(cmd *exec.Cmd) (*Child, error) {
	proc, err := spawn(cmd, syscall.SIGKILL)
	if err != nil {
		return nil, err
	}
	return &Child{proc}, nil
}

// PID returns the child's process id.
func (c *Child) PID() int { return c.proc.pid() }

// Done is closed once the child has ended and was reaped.
func (c *Child) Done() <-chan struct{} { return c.proc.done }

// Signal sends sig; a child that has ended already is no error.
func (c *Child) Signal(sig syscall.Signal) error { return c.proc.signal(sig) }

// End sends sig, wakes the child in case it is paused, and waits for its end.
// When ctx ends first the child is killed and the cause of ctx returned.
func (c *Child) End(ctx context.Context, sig syscall.Signal) error { return c.proc.end(ctx, sig) }
