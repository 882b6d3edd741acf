//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package worker

import (
	"errors"
	"os"
	"syscall"
)

// lockFile opens path, which it creates, and locks it until the file is closed
// or the process ends. It does not wait: errLocked if somebody has the lock.
func lockFile(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = errLocked
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// unlockFile gives the lock back. Closing alone would not do while a child that
// was just forked has a copy of the descriptor and has not come to its exec.
func unlockFile(file *os.File) error {
	return errors.Join(syscall.Flock(int(file.Fd()), syscall.LOCK_UN), file.Close())
}
