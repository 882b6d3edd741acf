package localstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// pipeGrace is how long the output of a dead child is still read. Grandchildren
// that inherited the pipe would otherwise hold up the wait for as long as they live.
const pipeGrace = 5 * time.Second

// process is a child in a process group of its own, so that a Ctrl-C in the
// terminal reaches only the owner, who then stops its children in order.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed once the child is reaped
	err  error         // how it ended; read only after done
}

// spawn starts cmd. When the owner dies the child gets the signal orphaned,
// where the system can do that.
func spawn(cmd *exec.Cmd, orphaned syscall.Signal) (*process, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	cmd.WaitDelay = pipeGrace
	signalOnParentDeath(cmd.SysProcAttr, orphaned)

	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go p.run(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return p, nil
}

// run keeps its thread until the child has ended: Linux binds the death signal
// to the thread that forked, not to the process, and Go may retire a thread.
func (p *process) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	err := p.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	p.err = p.cmd.Wait()
	close(p.done)
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// alive reports whether the child has not been reaped yet.
func (p *process) alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// signal sends sig; a child that has ended already is no error.
func (p *process) signal(sig syscall.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal %s (pid %d): %w", p.cmd.Path, p.pid(), err)
	}
	return nil
}

// end sends sig, wakes the child in case it is paused, and waits for its end.
// When ctx ends first the child is killed and the cause of ctx returned.
func (p *process) end(ctx context.Context, sig syscall.Signal) error {
	if err := errors.Join(p.signal(sig), p.signal(syscall.SIGCONT)); err != nil {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
	}
	err := p.signal(syscall.SIGKILL)
	<-p.done
	return errors.Join(fmt.Errorf("%s (pid %d) had to be killed: %w", p.cmd.Path, p.pid(), context.Cause(ctx)), err)
}
