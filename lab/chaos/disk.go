package chaos

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// disk is a small file system in memory that can be filled.
type disk struct {
	path string
}

// diskSize is room for the database of a long run.
const diskSize = "1500m"

// mountDisk mounts one, for which one must be root.
func mountDisk() (*disk, error) {
	path, err := os.MkdirTemp("/tmp", "firjob-disk-")
	if err != nil {
		return nil, err
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "mode=0755,size="+diskSize, "firjob",
		path).CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("mount a small file system: %w: %s", err, out), os.Remove(path))
	}
	return &disk{path}, nil
}

func (d *disk) ballast() string { return filepath.Join(d.path, "ballast") }

// fill takes what room is left.
func (d *disk) fill() error {
	file, err := os.Create(d.ballast())
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := io.Copy(file, zeros{}); !errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("fill %s: got %w, want that no space is left", d.path, err)
	}
	return nil
}

// zeros has no end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// free gives the room back.
func (d *disk) free() error { return os.Remove(d.ballast()) }

// unmount removes the file system.
func (d *disk) unmount() error {
	if out, err := exec.Command("umount", d.path).CombinedOutput(); err != nil {
		return fmt.Errorf("unmount %s: %w: %s", d.path, err, out)
	}
	return os.Remove(d.path)
}
