package localstack

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// portAttempts is how often a free port is looked for again after another
// program took the one just found.
const portAttempts = 5

// errPortTaken says that another program was quicker.
var errPortTaken = errors.New("the port is taken")

// RedisOptions says which server to start, and where.
type RedisOptions struct {
	// Binary to run; empty means that of FindRedis.
	Binary string
	// Dir holds the append-only file between runs and belongs to this server
	// alone. It is required unless Ephemeral, and ignored then.
	Dir string
	// Ephemeral keeps nothing: a restart is empty.
	Ephemeral bool
	// Config is a file to read before our arguments; empty means none. A sentinel
	// needs one and writes to it.
	Config string
	// Args are added to ours and override them, as on the command line.
	Args []string
	// Port on 127.0.0.1; 0 means a free one, which is kept over restarts, and in
	// Dir for the next start.
	Port int
	// Log receives the server's own output at debug level; nil discards it.
	Log *slog.Logger
}

// Redis is a running private server. Its methods may be called concurrently.
type Redis struct {
	opts   RedisOptions
	folder *folder

	mu      sync.Mutex
	proc    *process
	stopped bool
}

// StartRedis starts a server and returns once it answers. It never evicts keys
// and, unless Ephemeral, logs every write to disk.
func StartRedis(ctx context.Context, opts RedisOptions) (*Redis, error) {
	r, err := newRedis(opts)
	if err != nil {
		return nil, fmt.Errorf("start redis: %w", err)
	}
	if err := r.launchAnywhere(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start redis: %w", err), r.folder.release())
	}
	return r, nil
}

func newRedis(opts RedisOptions) (*Redis, error) {
	if opts.Dir == "" && !opts.Ephemeral {
		return nil, errors.New("options: Dir is required unless Ephemeral")
	}
	if opts.Binary == "" {
		found, err := FindRedis()
		if err != nil {
			return nil, err
		}
		opts.Binary = found
	}
	r := &Redis{opts: opts}
	var err error
	if opts.Ephemeral {
		r.folder, err = scratchFolder("redis")
	} else {
		r.folder, err = claimFolder(opts.Dir)
	}
	return r, err
}

func (r *Redis) launch(ctx context.Context) error {
	out := newOutput(r.opts.Log, "redis")
	cmd := exec.Command(r.opts.Binary, r.arguments()...)
	cmd.Dir = r.folder.path
	cmd.Stdout, cmd.Stderr = out, out
	proc, err := spawn(cmd, syscall.SIGTERM)
	if err != nil {
		return err
	}
	if err := r.awaitReady(ctx, proc); err != nil {
		_ = proc.end(ctx, syscall.SIGKILL) // the first error tells more
		if strings.Contains(out.String(), "Address already in use") {
			return fmt.Errorf("%s: %w", r.Addr(), errPortTaken)
		}
		return fmt.Errorf("%w; its last output:\n%s", err, out)
	}
	r.proc = proc
	return nil
}

func (r *Redis) arguments() []string {
	appendOnly := "yes"
	if r.opts.Ephemeral {
		appendOnly = "no"
	}
	var args []string
	if r.opts.Config != "" {
		args = append(args, r.opts.Config)
	}
	args = append(args,
		"--bind", "127.0.0.1",
		"--port", strconv.Itoa(r.opts.Port),
		"--dir", r.folder.path,
		"--daemonize", "no",
		"--maxmemory-policy", "noeviction",
		"--save", "",
		"--appendonly", appendOnly)
	return append(args, r.opts.Args...)
}

// awaitReady waits until the process itself answers on its port, or ends.
func (r *Redis) awaitReady(ctx context.Context, proc *process) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for !answers(ctx, r.Addr(), proc.pid()) {
		select {
		case <-proc.done:
			return fmt.Errorf("redis ended: %w", proc.err)
		case <-ctx.Done():
			return fmt.Errorf("wait for redis: %w", context.Cause(ctx))
		case <-tick.C:
		}
	}
	return nil
}

// answers reports whether the server at addr has loaded its data and is process
// pid, and not a stranger that took the port first.
func answers(ctx context.Context, addr string, pid int) bool {
	dialer := net.Dialer{Timeout: time.Second}
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return false
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return false
	}
	in := bufio.NewReader(conn)
	if _, err := io.WriteString(conn, "PING\r\n"); err != nil {
		return false
	}
	if pong, err := in.ReadString('\n'); err != nil || pong != "+PONG\r\n" {
		return false
	}
	if _, err := io.WriteString(conn, "INFO server\r\n"); err != nil {
		return false
	}
	return hasLine(in, fmt.Sprintf("process_id:%d", pid))
}

func hasLine(in *bufio.Reader, want string) bool {
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return false
		}
		if strings.TrimSpace(line) == want {
			return true
		}
	}
}

// URL is the address as clients take it: redis://127.0.0.1:PORT.
func (r *Redis) URL() string { return "redis://" + r.Addr() }

// Addr is 127.0.0.1:PORT.
func (r *Redis) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(r.opts.Port)) }

// PID is the process id; it changes with Restart.
func (r *Redis) PID() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.proc.pid()
}

// Done is closed once the process that runs now has ended, for whatever reason.
// After Restart there is another channel.
func (r *Redis) Done() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.proc.done
}

// Stop shuts the server down, with its writes on disk unless Ephemeral. When ctx
// ends first the server is killed and an error returned. Stop is final; a second
// one does nothing.
func (r *Redis) Stop(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped {
		return nil
	}
	r.stopped = true
	return errors.Join(r.proc.end(ctx, syscall.SIGTERM), r.folder.release())
}

// Kill ends the server at once, as a crash would.
func (r *Redis) Kill() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.proc.end(context.Background(), syscall.SIGKILL)
}

// Restart starts the server again on the same port, shutting it down first if it
// runs. Ephemeral comes back empty.
func (r *Redis) Restart(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped {
		return fmt.Errorf("restart redis: %w", errStopped)
	}
	if err := r.proc.end(ctx, syscall.SIGTERM); err != nil {
		return fmt.Errorf("restart redis: %w", err)
	}
	if err := r.launch(ctx); err != nil {
		return fmt.Errorf("restart redis: %w", err)
	}
	return nil
}

// Pause freezes the server: connections stay open and nothing answers.
func (r *Redis) Pause() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.proc.signal(syscall.SIGSTOP)
}

// Resume undoes Pause.
func (r *Redis) Resume() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.proc.signal(syscall.SIGCONT)
}
