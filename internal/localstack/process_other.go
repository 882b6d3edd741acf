//go:build !linux

package localstack

import "syscall"

// signalOnParentDeath does nothing where the kernel offers no such signal; the
// next start on the same folder then ends the orphan.
func signalOnParentDeath(*syscall.SysProcAttr, syscall.Signal) {}
