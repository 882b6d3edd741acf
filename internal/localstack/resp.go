package localstack

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// askPatience bounds one question to a server.
const askPatience = 5 * time.Second

// Ask sends one command to the Redis at addr, by words, over a connection of its
// own. It returns the elements of the reply: one of a plain reply, those of a list,
// flattened. What the server refuses is an error.
func Ask(ctx context.Context, addr string, command ...string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return nil, err
		}
	}
	var text strings.Builder
	fmt.Fprintf(&text, "*%d\r\n", len(command))
	for _, word := range command {
		fmt.Fprintf(&text, "$%d\r\n%s\r\n", len(word), word)
	}
	if _, err := io.WriteString(conn, text.String()); err != nil {
		return nil, fmt.Errorf("ask %s: %w", addr, err)
	}
	reply, err := readReply(bufio.NewReader(conn))
	if err != nil {
		return nil, fmt.Errorf("ask %s: %s: %w", addr, strings.Join(command, " "), err)
	}
	return reply, nil
}

// readReply reads one reply of the protocol RESP2. Nil is no element.
func readReply(in *bufio.Reader) ([]string, error) {
	head, err := in.ReadString('\n')
	if err != nil {
		return nil, err
	}
	kind, rest := head[0], strings.TrimSpace(head[1:])
	switch kind {
	case '+', ':':
		return []string{rest}, nil
	case '-':
		return nil, errors.New(rest)
	case '$', '*':
	default:
		return nil, fmt.Errorf("a reply of an unknown kind: %q", head)
	}
	size, err := strconv.Atoi(rest)
	if err != nil {
		return nil, fmt.Errorf("a reply of size %q", rest)
	}
	if kind == '*' {
		return readList(in, size)
	}
	if size < 0 {
		return nil, nil
	}
	body := make([]byte, size+len("\r\n"))
	_, err = io.ReadFull(in, body)
	return []string{string(body[:size])}, err
}

func readList(in *bufio.Reader, size int) (all []string, err error) {
	for range size {
		part, err := readReply(in)
		if err != nil {
			return nil, err
		}
		all = append(all, part...)
	}
	return all, nil
}

// awaitReply repeats a question until the reply contains all that is wanted.
// Servers that find each other announce it in no other way.
func awaitReply(ctx context.Context, addr string, command []string, want ...string) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		reply, err := Ask(ctx, addr, command...)
		text := strings.Join(reply, "\n")
		if err == nil && containsAll(text, want) {
			return nil
		}
		select {
		case <-ctx.Done():
			//nolint:errorlint // the error of the last try may be nil
			return fmt.Errorf("%s: %q: got %q, %v; want %q in it: %w", addr, command, text, err, want,
				context.Cause(ctx))
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
