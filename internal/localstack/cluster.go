package localstack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// pollEvery is the pace at which a starting server is asked whether it is ready.
const pollEvery = 5 * time.Millisecond

func (pg *Postgres) data() string { return pg.folder.join("data") }

// checkVersion compares the data's major version with that of the binaries.
func (pg *Postgres) checkVersion() error {
	text, err := os.ReadFile(filepath.Join(pg.data(), "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the version of the data: %w", err)
	}
	have, want := strings.TrimSpace(string(text)), strconv.Itoa(pg.opts.Binaries.major())
	if have != want {
		return fmt.Errorf("the data in %s was written by PostgreSQL %s, but %s is PostgreSQL %s; "+
			"install PostgreSQL %s, or move that folder away to start afresh",
			pg.data(), have, pg.opts.Binaries.Dir, pg.opts.Binaries.Version, have)
	}
	return nil
}

// createCluster runs initdb unless there is a cluster. It works under another
// name and renames at the end, so that an interrupted one is never taken for whole.
func (pg *Postgres) createCluster(ctx context.Context) error {
	if _, err := os.Stat(pg.data()); err == nil {
		return nil
	}
	unfinished := pg.data() + ".new"
	if err := os.RemoveAll(unfinished); err != nil {
		return fmt.Errorf("remove an unfinished cluster: %w", err)
	}
	args := []string{"-D", unfinished, "-U", superuser, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-instructions"}
	if pg.opts.Ephemeral {
		args = append(args, "--no-sync")
	}
	if err := pg.tool(ctx, "initdb", args...); err != nil {
		return errors.Join(err, hint(missingPasswdEntry()))
	}
	if err := os.Rename(unfinished, pg.data()); err != nil {
		return fmt.Errorf("keep the new cluster: %w", err)
	}
	return nil
}

// tool runs one of the programs that come with the server, as the server's user.
func (pg *Postgres) tool(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, pg.opts.Binaries.path(name), args...)
	cmd.Dir = "/"
	cmd.Env = serverEnv()
	cmd.SysProcAttr = pg.user.attributes()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}

// hint is text as an error, nil when there is none.
func hint(text string) error {
	if text == "" {
		return nil
	}
	return errors.New(text)
}

// arguments of the postmaster. Ours suit one machine shared with the program
// under test; see PostgresOptions.Settings.
func (pg *Postgres) arguments() []string {
	settings := map[string]string{
		"listen_addresses":        "",
		"port":                    socketPort,
		"unix_socket_directories": pg.socket,
		"max_connections":         "100",
		"shared_buffers":          "256MB",
		"max_wal_size":            "4GB",
		"checkpoint_timeout":      "15min",
		"timezone":                "UTC",
		"log_timezone":            "UTC",
		"jit":                     "off", // costs more than it gains on short statements
	}
	if pg.opts.Ephemeral {
		// synchronous_commit stays on: a commit must survive Kill.
		settings["fsync"] = "off"
		settings["full_page_writes"] = "off"
		settings["shared_buffers"] = "128MB"
	}
	maps.Copy(settings, pg.opts.Settings)

	args := []string{"-D", pg.data()}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "-c", name+"="+settings[name])
	}
	return args
}

// awaitReady waits for the postmaster to write into its pid file that it takes
// connections, or to end.
func (pg *Postgres) awaitReady(ctx context.Context, proc *process) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		if file := pg.readPidFile(); file.pid == proc.pid() && file.ready {
			return nil
		}
		select {
		case <-proc.done:
			return fmt.Errorf("postgres ended: %w", proc.err)
		case <-ctx.Done():
			return fmt.Errorf("wait for postgres: %w", context.Cause(ctx))
		case <-tick.C:
		}
	}
}

type pidFile struct {
	pid   int // 0 = no file
	ready bool
}

func (pg *Postgres) pidPath() string { return filepath.Join(pg.data(), "postmaster.pid") }

// readPidFile reads the first and the eighth line: process id and status.
func (pg *Postgres) readPidFile() pidFile {
	text, err := os.ReadFile(pg.pidPath())
	if err != nil {
		return pidFile{}
	}
	lines := strings.Split(string(text), "\n")
	pid, _ := strconv.Atoi(lines[0])
	return pidFile{pid: pid, ready: len(lines) > 7 && strings.TrimSpace(lines[7]) == "ready"}
}

// clearPidFile deals with what an earlier owner left. We hold the folder's lock,
// so a postmaster that still runs here is an orphan and is shut down; a file
// whose process is gone, or is another program by now (a container counts pids
// from 1 again), is removed, because Postgres would refuse to start over it.
func (pg *Postgres) clearPidFile(ctx context.Context) error {
	file := pg.readPidFile()
	if file.pid == 0 {
		return nil
	}
	if runsCluster(ctx, file.pid, pg.data()) {
		if err := endOrphan(ctx, file.pid, pg.data()); err != nil {
			return err
		}
	}
	if err := os.Remove(pg.pidPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove a stale pid file: %w", err)
	}
	return nil
}

// endOrphan shuts a postmaster down that is not our child, so its end can only
// be polled for.
func endOrphan(ctx context.Context, pid int, data string) error {
	if err := syscall.Kill(pid, syscall.SIGINT); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("stop the orphaned postgres (pid %d): %w", pid, err)
	}
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	// An ended process that nobody reaps still has a pid, but no command line.
	for runsCluster(ctx, pid, data) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the orphaned postgres (pid %d) to end: %w", pid, context.Cause(ctx))
		case <-tick.C:
		}
	}
	return nil
}

// runsCluster reports whether process pid is a postmaster on the folder data.
func runsCluster(ctx context.Context, pid int, data string) bool {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		line, _ = exec.CommandContext(ctx, "ps", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	}
	return strings.Contains(string(line), data)
}
