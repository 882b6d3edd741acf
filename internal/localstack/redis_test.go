package localstack

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func startRedis(t *testing.T, opts RedisOptions) *Redis {
	t.Helper()
	r, err := StartRedis(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stopRedis(t, r) })
	return r
}

func stopRedis(t *testing.T, r *Redis) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := r.Stop(ctx); err != nil {
		t.Errorf("stop: %v", err)
	}
}

// send gives the first line of the reply, or of a bulk string its content.
func send(addr string, timeout time.Duration, line string) (string, error) {
	conn, err := net.DialTimeout("tcp", addr, timeout)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return "", err
	}
	words := strings.Fields(line)
	fmt.Fprintf(conn, "*%d\r\n", len(words))
	for _, word := range words {
		fmt.Fprintf(conn, "$%d\r\n%s\r\n", len(word), word)
	}
	in := bufio.NewReader(conn)
	reply, err := in.ReadString('\n')
	if strings.HasPrefix(reply, "$") && reply != "$-1\r\n" {
		reply, err = in.ReadString('\n')
	}
	return strings.TrimSpace(reply), err
}

func wantReply(t *testing.T, addr, line, want string) {
	t.Helper()
	if got, err := send(addr, patience, line); err != nil || got != want {
		t.Errorf("%s: got %q, %v; want %q", line, got, err, want)
	}
}

func TestRedisKeepsItsData(t *testing.T) {
	t.Parallel()
	opts := RedisOptions{Dir: filepath.Join(t.TempDir(), "redis")}
	r := startRedis(t, opts)
	addr := r.Addr()
	wantReply(t, addr, "SET key kept", "+OK")
	if err := r.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := r.Addr(); got != addr {
		t.Errorf("address after a restart: got %s, want %s", got, addr)
	}
	wantReply(t, addr, "GET key", "kept")

	if _, err := StartRedis(t.Context(), opts); err == nil || !strings.Contains(err.Error(), "in use by another") {
		t.Errorf("second owner of the folder: got %v, want an error", err)
	}
	stopRedis(t, r)
	if err := r.Restart(t.Context()); !errors.Is(err, errStopped) {
		t.Errorf("restart after Stop: got %v, want %v", err, errStopped)
	}
	again := startRedis(t, opts)
	if got := again.Addr(); got != addr {
		t.Errorf("address of the next start on the folder: got %s, want %s", got, addr)
	}
	wantReply(t, addr, "GET key", "kept")
}

func TestRedisTakesAnotherPortWhenItsLastIsTaken(t *testing.T) {
	t.Parallel()
	opts := RedisOptions{Dir: filepath.Join(t.TempDir(), "redis")}
	r := startRedis(t, opts)
	addr := r.Addr()
	wantReply(t, addr, "SET key kept", "+OK")
	stopRedis(t, r)
	other, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	again := startRedis(t, opts)
	if again.Addr() == addr {
		t.Errorf("the address is %s, which another program has", addr)
	}
	wantReply(t, again.Addr(), "GET key", "kept")
}

func TestEphemeralRedisKeepsNothing(t *testing.T) {
	t.Parallel()
	r := startRedis(t, RedisOptions{Ephemeral: true})
	wantReply(t, r.Addr(), "SET key lost", "+OK")
	if err := r.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := r.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantReply(t, r.Addr(), "GET key", "$-1")
	stopRedis(t, r)
	if _, err := os.Stat(r.folder.path); !os.IsNotExist(err) {
		t.Errorf("scratch folder after Stop: got %v, want it gone", err)
	}
}

func TestPausedRedisHangs(t *testing.T) {
	t.Parallel()
	r := startRedis(t, RedisOptions{Ephemeral: true, Args: []string{"--databases", "1"}})
	if err := r.Pause(); err != nil {
		t.Fatal(err)
	}
	if got, err := send(r.Addr(), 100*time.Millisecond, "PING"); err == nil {
		t.Errorf("a paused server answered %q", got)
	}
	if err := r.Resume(); err != nil {
		t.Fatal(err)
	}
	wantReply(t, r.Addr(), "PING", "+PONG")
	wantReply(t, r.Addr(), "SELECT 1", "-ERR DB index is out of range")
	if err := r.Pause(); err != nil {
		t.Fatal(err)
	}
	stopRedis(t, r) // a paused server can be stopped
}

func TestRedisOnATakenPort(t *testing.T) {
	t.Parallel()
	first := startRedis(t, RedisOptions{Ephemeral: true})
	_, err := StartRedis(t.Context(), RedisOptions{Ephemeral: true, Port: first.opts.Port})
	if !errors.Is(err, errPortTaken) {
		t.Errorf("got %v, want %v", err, errPortTaken)
	}
}

func TestMiniredisLetsKeysExpire(t *testing.T) {
	t.Parallel()
	m, err := StartMiniredis(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	wantReply(t, m.Addr(), "SET key value PX 200", "+OK")
	eventually(t, "the key expired", func() bool {
		reply, err := send(m.Addr(), patience, "GET key")
		return err == nil && reply == "$-1"
	})
	for range 2 { // a second Stop does nothing
		if err := m.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := send(m.Addr(), patience, "PING"); err == nil {
		t.Error("a stopped stand-in still answers")
	}
}
