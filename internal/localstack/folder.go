package localstack

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	scratchPrefix = "firjob-"
	unnamedPrefix = ".firjob-"
	lockName      = "firjob.lock"
)

// folder is a server's folder, held by this process alone. The lock on a file in
// it is given back by the kernel when the owner dies, however it dies, so a held
// lock means a living owner.
type folder struct {
	path    string
	scratch bool // removed on release
	lock    *os.File
}

// claimFolder takes dir, making it if need be.
func claimFolder(dir string) (*folder, error) {
	path, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("resolve folder: %w", err)
	}
	// The parents stay open, so that another user can be given the folder.
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	lock, err := lockFile(path, os.O_CREATE)
	if err != nil {
		return nil, err
	}
	return &folder{path: path, lock: lock}, nil
}

// scratchFolder makes a folder that leaves nothing behind. Its path is short,
// for the sake of sockets, and not under TMPDIR, which is long on macOS.
func scratchFolder(kind string) (*folder, error) {
	removeAbandoned(kind)
	// It gets its name only once it is locked: until then another process that
	// starts could take it for abandoned.
	unnamed, err := os.MkdirTemp("/tmp", unnamedPrefix)
	if err != nil {
		return nil, fmt.Errorf("make scratch folder: %w", err)
	}
	lock, err := lockFile(unnamed, os.O_CREATE)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(unnamed))
	}
	path := "/tmp/" + scratchPrefix + kind + "-" + strings.TrimPrefix(filepath.Base(unnamed), unnamedPrefix)
	if err := os.Rename(unnamed, path); err != nil {
		return nil, errors.Join(fmt.Errorf("name scratch folder: %w", err), lock.Close(), os.RemoveAll(unnamed))
	}
	return &folder{path: path, scratch: true, lock: lock}, nil
}

// lockFile takes the lock of dir or says who may hold it. The flag os.O_CREATE
// makes the file when it is missing.
func lockFile(dir string, flag int) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), flag|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("%s is in use by another firjob process; stop that one or choose another folder: %w",
			dir, err)
	}
	return f, nil
}

// removeAbandoned removes scratch folders whose owners died without releasing
// them. It is housekeeping: what it cannot remove now, the next start may.
func removeAbandoned(kind string) {
	found, _ := filepath.Glob("/tmp/" + scratchPrefix + kind + "-*")
	for _, path := range found {
		// Without O_CREATE: a folder that lost its lock file is just being removed.
		if lock, err := lockFile(path, 0); err == nil {
			_ = os.RemoveAll(path)
			_ = lock.Close()
		}
	}
}

// release gives the folder back. It may be called again.
func (f *folder) release() error {
	var err error
	if f.scratch {
		err = os.RemoveAll(f.path)
	}
	if closed := f.lock.Close(); closed != nil && !errors.Is(closed, os.ErrClosed) {
		err = errors.Join(err, closed)
	}
	return err
}

func (f *folder) join(name ...string) string {
	return filepath.Join(f.path, filepath.Join(name...))
}

// StateDir is where servers of a developer keep their data between runs. Root
// gets a folder outside its home, because the user to whom Postgres drops
// cannot enter that.
func StateDir() (string, error) {
	if os.Getuid() == 0 {
		return "/var/lib/firjob", nil
	}
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "firjob"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find the state folder: %w", err)
	}
	return filepath.Join(home, ".local", "state", "firjob"), nil
}

// cacheDir is where fetched binaries are kept; see StateDir about root.
func cacheDir() (string, error) {
	if os.Getuid() == 0 {
		return "/var/cache/firjob", nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache folder: %w", err)
	}
	return filepath.Join(dir, "firjob"), nil
}
