package localstack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
)

const (
	superuser = "firjob"
	// socketPort is only a part of the socket's file name; nothing listens on TCP.
	socketPort = "5432"
	// maxSocketPath stays below what the systems allow (108 bytes on Linux, 104 on macOS).
	maxSocketPath = 100
)

// errStopped is what a server answers that was stopped for good.
var errStopped = errors.New("the server was stopped and cannot be started again")

// PostgresOptions says which server to start, and where.
type PostgresOptions struct {
	// Binaries to run; the zero value means those of FindPostgres.
	Binaries PostgresBinaries
	// Dir holds the data between runs and belongs to this server alone. It is
	// required unless Ephemeral, and ignored then.
	Dir string
	// Ephemeral keeps the data in a scratch folder that Stop removes, and does
	// without fsync: what was committed survives Kill, not a crash of the machine.
	Ephemeral bool
	// Settings are added to ours and override them, by the names of postgresql.conf.
	Settings map[string]string
	// Follow makes it a standby: its data are copied from this running server, in
	// place of what Dir may hold, and it follows that one until Promote.
	Follow *Postgres
	// Log receives the server's own output at debug level; nil discards it.
	Log *slog.Logger
}

// Postgres is a running private server. Its methods may be called concurrently.
type Postgres struct {
	opts   PostgresOptions
	user   identity
	folder *folder
	socket string // folder of the Unix socket

	mu      sync.Mutex
	proc    *process
	stopped bool
}

// StartPostgres starts a server and returns once it accepts connections. The
// first start on a folder creates the cluster, with a superuser named firjob
// and no password: whoever may enter the socket's folder may connect, and only
// the server's user and root may. A server that an earlier owner left behind on
// the same folder is ended first; a living owner is an error.
func StartPostgres(ctx context.Context, opts PostgresOptions) (*Postgres, error) {
	pg, err := newPostgres(ctx, opts)
	if err != nil {
		return nil, fmt.Errorf("start postgres: %w", err)
	}
	if err := pg.prepare(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start postgres: %w", err), pg.cleanUp())
	}
	if err := pg.launch(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start postgres: %w", err), pg.cleanUp())
	}
	return pg, nil
}

func newPostgres(ctx context.Context, opts PostgresOptions) (*Postgres, error) {
	if opts.Dir == "" && !opts.Ephemeral {
		return nil, errors.New("options: Dir is required unless Ephemeral")
	}
	if opts.Binaries.Dir == "" {
		found, err := FindPostgres(ctx)
		if err != nil {
			return nil, err
		}
		opts.Binaries = found
	}
	user, err := unprivileged()
	if err != nil {
		return nil, err
	}
	if err := user.canReach(opts.Binaries.path("postgres")); err != nil {
		return nil, err
	}
	pg := &Postgres{opts: opts, user: user}
	if opts.Ephemeral {
		pg.folder, err = scratchFolder("pg")
	} else {
		pg.folder, err = claimFolder(opts.Dir)
	}
	return pg, err
}

// prepare makes the folders and, on the first start, the cluster.
func (pg *Postgres) prepare(ctx context.Context) error {
	if err := pg.user.own(pg.folder.path); err != nil {
		return err
	}
	if err := pg.makeSocketFolder(); err != nil {
		return err
	}
	if err := pg.checkVersion(); err != nil {
		return err
	}
	if err := pg.clearPidFile(ctx); err != nil {
		return err
	}
	if pg.opts.Follow != nil {
		return pg.copyCluster(ctx)
	}
	return pg.createCluster(ctx)
}

// makeSocketFolder puts the socket beside the data, or under /tmp when that path
// is too long for a socket.
func (pg *Postgres) makeSocketFolder() (err error) {
	pg.socket = pg.folder.join("socket")
	if len(pg.Socket()) < maxSocketPath {
		err = os.MkdirAll(pg.socket, 0o700)
	} else {
		pg.socket, err = os.MkdirTemp("/tmp", scratchPrefix+"socket-")
	}
	if err != nil {
		return fmt.Errorf("make socket folder: %w", err)
	}
	return pg.user.own(pg.socket)
}

// Socket is the path of the Unix socket that the server listens at.
func (pg *Postgres) Socket() string {
	return filepath.Join(pg.socket, ".s.PGSQL."+socketPort)
}

func (pg *Postgres) launch(ctx context.Context) error {
	out := newOutput(pg.opts.Log, "postgres")
	cmd := exec.Command(pg.opts.Binaries.path("postgres"), pg.arguments()...)
	cmd.Dir = "/"
	cmd.Env = serverEnv()
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = pg.user.attributes()
	proc, err := spawn(cmd, syscall.SIGINT)
	if err != nil {
		return err
	}
	if err := pg.awaitReady(ctx, proc); err != nil {
		_ = proc.end(ctx, syscall.SIGQUIT) // the first error tells more
		return fmt.Errorf("%w; its last output:\n%s", err, out)
	}
	pg.proc = proc
	return nil
}

// serverEnv leaves out what could steer Postgres away from our settings (PG*).
func serverEnv() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
}

// URL is the connection string of a database, for any libpq-style client. The
// database "postgres" always exists.
func (pg *Postgres) URL(database string) string {
	u := url.URL{Scheme: "postgres", User: url.User(superuser), Path: "/" + database}
	u.RawQuery = url.Values{"host": {pg.socket}, "port": {socketPort}, "sslmode": {"disable"}}.Encode()
	return u.String()
}

// PID is the process id of the postmaster; it changes with Restart.
func (pg *Postgres) PID() int {
	pg.mu.Lock()
	defer pg.mu.Unlock()
	return pg.proc.pid()
}

// Done is closed once the postmaster that runs now has ended, for whatever
// reason. After Restart there is another channel.
func (pg *Postgres) Done() <-chan struct{} {
	pg.mu.Lock()
	defer pg.mu.Unlock()
	return pg.proc.done
}

// Stop shuts the server down: open transactions are rolled back, everything
// committed is on disk. When ctx ends first the server is killed and an error
// returned. Stop is final; a second one does nothing.
func (pg *Postgres) Stop(ctx context.Context) error {
	pg.mu.Lock()
	defer pg.mu.Unlock()
	if pg.stopped {
		return nil
	}
	pg.stopped = true
	return errors.Join(pg.wake(), pg.proc.end(ctx, syscall.SIGINT), pg.cleanUp())
}

// Kill ends the server at once, as a crash would: no checkpoint, every
// connection is cut. Restart recovers from the log.
func (pg *Postgres) Kill() error {
	pg.mu.Lock()
	defer pg.mu.Unlock()
	return errors.Join(pg.wake(), pg.proc.end(context.Background(), syscall.SIGQUIT))
}

// Restart starts the server again on the same data and socket, shutting it down
// first if it runs. URLs stay valid.
func (pg *Postgres) Restart(ctx context.Context) error {
	pg.mu.Lock()
	defer pg.mu.Unlock()
	if pg.stopped {
		return fmt.Errorf("restart postgres: %w", errStopped)
	}
	if err := errors.Join(pg.wake(), pg.proc.end(ctx, syscall.SIGINT)); err != nil {
		return fmt.Errorf("restart postgres: %w", err)
	}
	if err := pg.launch(ctx); err != nil {
		return fmt.Errorf("restart postgres: %w", err)
	}
	return nil
}

// cleanUp gives the folders back.
func (pg *Postgres) cleanUp() error {
	if pg.socket != "" && !pg.folder.scratch {
		_ = os.RemoveAll(pg.socket)
	}
	return pg.folder.release()
}
