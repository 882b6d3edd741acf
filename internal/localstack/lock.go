package localstack

import (
	"fmt"
	"os"
)

// Lock makes dir if need be and takes it for this process alone, until release
// or the end of the process. Other users may enter the folder, since the server
// in it may run as another user.
func Lock(dir string) (release func() error, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	lock, err := lockFile(dir, os.O_CREATE)
	if err != nil {
		return nil, err
	}
	return lock.Close, nil
}
