package localstack

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// Pause freezes the server: connections stay open and nothing answers. On Linux
// this includes the backends of open connections; elsewhere only the postmaster,
// so only new connections hang.
func (pg *Postgres) Pause() error {
	pg.mu.Lock()
	defer pg.mu.Unlock()
	// The postmaster first: it can then start no backend that we would miss.
	if err := pg.proc.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	return signalBackends(pg.proc, syscall.SIGSTOP)
}

// Resume undoes Pause.
func (pg *Postgres) Resume() error {
	pg.mu.Lock()
	defer pg.mu.Unlock()
	return pg.wake()
}

func (pg *Postgres) wake() error {
	if !pg.proc.alive() {
		return nil
	}
	return errors.Join(signalBackends(pg.proc, syscall.SIGCONT), pg.proc.signal(syscall.SIGCONT))
}

// signalBackends signals the children of the postmaster. Each has a process
// group of its own, so the kernel's list of children is the way to them.
func signalBackends(postmaster *process, sig syscall.Signal) error {
	pid := postmaster.pid()
	list, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return nil // no such list on this system
	}
	for _, field := range strings.Fields(string(list)) {
		child, err := strconv.Atoi(field)
		if err != nil {
			return fmt.Errorf("read the backends of postgres: %w", err)
		}
		if err := syscall.Kill(child, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("signal backend %d: %w", child, err)
		}
	}
	return nil
}
