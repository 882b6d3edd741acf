package stacktest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// awaitReply repeats a command until its reply contains all that is wanted.
// Servers that find each other announce it in no other way.
func awaitReply(t testing.TB, addr, line string, want ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		reply, err := ask(ctx, addr, line)
		if err == nil && containsAll(reply, want) {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: %s: got %q, %v; want %q in it", addr, line, reply, err, want)
		case <-tick.C:
		}
	}
}

func containsAll(text string, parts []string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}

// ask sends one inline command over a connection of its own and gives its reply,
// which must be a simple or a bulk string.
func ask(ctx context.Context, addr, line string) (string, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(conn, line+"\r\n"); err != nil {
		return "", err
	}
	return readReply(bufio.NewReader(conn))
}

func readReply(in *bufio.Reader) (string, error) {
	head, err := in.ReadString('\n')
	if err != nil {
		return "", err
	}
	kind, rest := head[0], strings.TrimSpace(head[1:])
	switch kind {
	case '+':
		return rest, nil
	case '-':
		return "", errors.New(rest)
	case '$':
		size, err := strconv.Atoi(rest)
		if err != nil || size < 0 {
			return "", fmt.Errorf("reply of size %q", rest)
		}
		body := make([]byte, size)
		_, err = io.ReadFull(in, body)
		return string(body), err
	default:
		return "", fmt.Errorf("reply of an unexpected kind: %q", head)
	}
}
