package cluster

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/firjob/firjob/internal/localstack"
)

// Process is a server or a worker. It keeps its name, address and settings
// over restarts. Its methods may be called concurrently.
type Process struct {
	Name string // "server-1", "worker-2"
	Addr string // host:port that it listens at

	binary string
	args   []string
	env    []string
	output func(process, line string)

	mu    sync.Mutex
	child *localstack.Child
	extra []string // environment, after env

	said lastLines
}

// Start starts the process, anew after it has ended. It does not wait until it
// is ready.
func (p *Process) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.child != nil && alive(p.child) {
		return fmt.Errorf("%s runs already", p.Name)
	}
	cmd := exec.Command(p.binary, p.args...)
	cmd.Env = slices.Concat(os.Environ(), p.env, p.extra)
	cmd.Stdout, cmd.Stderr = &lines{print: p.print}, &lines{print: p.print}
	child, err := localstack.Spawn(cmd)
	if err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	p.child = child
	return nil
}

// Vary makes the process, from its next start on, run another binary ("": as
// before) and with env added to its environment, in place of what was added last.
func (p *Process) Vary(binary string, env ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if binary != "" {
		p.binary = binary
	}
	p.extra = env
}

func alive(c *localstack.Child) bool {
	select {
	case <-c.Done():
		return false
	default:
		return true
	}
}

func (p *Process) current() *localstack.Child {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.child
}

// PID returns the id of the process that runs, or ran last.
func (p *Process) PID() int { return p.current().PID() }

// Done is closed when the process that runs now has ended.
func (p *Process) Done() <-chan struct{} { return p.current().Done() }

// Kill ends the process as kill -9 does and waits until it is gone.
func (p *Process) Kill() error {
	child := p.current()
	if err := child.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-child.Done()
	return nil
}

// Pause stops the process in its tracks, as a long pause of its collector or
// its machine would.
func (p *Process) Pause() error { return p.current().Signal(syscall.SIGSTOP) }

// Resume lets a paused process go on.
func (p *Process) Resume() error { return p.current().Signal(syscall.SIGCONT) }

// Stop asks the process to end and waits until it has; it is killed when ctx
// ends first, which is an error.
func (p *Process) Stop(ctx context.Context) error {
	return p.current().End(ctx, syscall.SIGTERM)
}

func (p *Process) print(line string) {
	p.said.add(line)
	p.output(p.Name, line)
}

// lastLines holds the last lines that a process has printed, for the error that
// may follow. It is safe for concurrent use.
type lastLines struct {
	mu    sync.Mutex
	lines []string
}

// keptLines is how many lines an error repeats.
const keptLines = 15

func (l *lastLines) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
	l.lines = slices.Delete(l.lines, 0, max(0, len(l.lines)-keptLines))
}

// String is one line each.
func (l *lastLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n")
}

// lines hands over what a process prints line by line.
type lines struct {
	print   func(line string)
	partial []byte
}

// Write never fails.
func (l *lines) Write(text []byte) (int, error) {
	l.partial = append(l.partial, text...)
	for {
		line, rest, whole := bytes.Cut(l.partial, []byte("\n"))
		if !whole {
			return len(text), nil
		}
		l.print(string(line))
		l.partial = rest
	}
}
