package worker

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
)

// errLocked means that another process holds a spool's lock.
var errLocked = errors.New("another process uses it")

// maxAnonymous is how many workers of one app may listen on any free port and
// use the default spool, on one machine and by one user.
const maxAnonymous = 256

// chooseSpool opens the spool that the options ask for.
func chooseSpool(o Options, log *slog.Logger) (*spool, []*item, error) {
	if o.SpoolDir != "" {
		return openSpool(o.SpoolDir, log)
	}
	state, err := stateDir()
	if err != nil {
		return nil, nil, err
	}
	// The app's name is escaped and never the whole of a path's element, so it
	// cannot climb out.
	base := filepath.Join(state, "firjob", url.PathEscape(o.App))
	_, port, err := net.SplitHostPort(o.Listen)
	if err != nil {
		return nil, nil, fmt.Errorf("name the spool: %w", err)
	}
	if port != "0" && port != "" {
		return openSpool(base+"-"+port, log)
	}
	for n := range maxAnonymous {
		s, left, err := openSpool(fmt.Sprintf("%s-any-%d", base, n), log)
		if !errors.Is(err, errLocked) {
			return s, left, err
		}
	}
	return nil, nil, fmt.Errorf("%d spools of the app are in use", maxAnonymous)
}

func stateDir() (string, error) {
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return dir, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find a folder for the spool: %w", err)
	}
	return filepath.Join(home, ".local", "state"), nil
}
