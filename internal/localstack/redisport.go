package localstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// portName is the file that holds the port of the last start.
const portName = "port"

// launchAnywhere launches on the wanted port. Without one it takes that of the
// last start on the folder, or else the first free one that no other program
// grabs meanwhile.
func (r *Redis) launchAnywhere(ctx context.Context) error {
	if r.opts.Port != 0 {
		return r.launch(ctx)
	}
	err := errPortTaken
	if r.opts.Port = r.lastPort(); r.opts.Port != 0 {
		err = r.launch(ctx)
	}
	for range portAttempts {
		if !errors.Is(err, errPortTaken) {
			break
		}
		if r.opts.Port, err = freePort(); err != nil {
			return err
		}
		err = r.launch(ctx)
	}
	if err != nil || r.opts.Ephemeral {
		return err
	}
	return r.keepPort()
}

// lastPort is 0 if nothing usable is written in the folder.
func (r *Redis) lastPort() int {
	text, err := os.ReadFile(r.folder.join(portName))
	if err != nil {
		return 0
	}
	port, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 16)
	if err != nil {
		return 0
	}
	return int(port)
}

func (r *Redis) keepPort() error {
	text := strconv.Itoa(r.opts.Port) + "\n"
	if err := os.WriteFile(r.folder.join(portName), []byte(text), 0o600); err != nil {
		return fmt.Errorf("keep the port for the next start: %w", err)
	}
	return nil
}
