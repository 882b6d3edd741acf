//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package worker

import (
	"errors"
	"os"
)

// lockFile fails: without flock two processes could share a spool.
func lockFile(string) (*os.File, error) {
	return nil, errors.New("this system has no flock, which the spool needs")
}

func unlockFile(file *os.File) error { return file.Close() }
