package chaos

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/firjob/firjob/lab/checker"
)

// Ledger is a resource as a handler should have one: it takes a write only with a
// token that is not lower than the highest it has seen for the key, and answers
// 409 to any other.
type Ledger struct {
	listener net.Listener
	server   *http.Server
	serving  sync.WaitGroup

	mu      sync.Mutex
	highest map[string]int64
	effects []checker.Effect
}

// Entry is what a handler writes to a ledger, by POST.
type Entry struct {
	Key   string `json:"key"`
	Token int64  `json:"token"`
}

// NewLedger listens at a free port of 127.0.0.1.
func NewLedger() (*Ledger, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the ledger: %w", err)
	}
	l := &Ledger{listener: listener, highest: map[string]int64{}}
	l.server = &http.Server{Handler: l, ReadHeaderTimeout: 5 * time.Second}
	l.serving.Go(func() { _ = l.server.Serve(listener) }) // always "closed", by Close
	return l, nil
}

// URL is where the ledger is reached.
func (l *Ledger) URL() string { return "http://" + l.listener.Addr().String() }

// ServeHTTP takes an entry.
func (l *Ledger) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var entry Entry
	if err := json.NewDecoder(r.Body).Decode(&entry); err != nil || entry.Key == "" {
		http.Error(w, errors.Join(errors.New("not an entry"), err).Error(), http.StatusBadRequest)
		return
	}
	if !l.take(entry) {
		http.Error(w, "a higher token has written", http.StatusConflict)
	}
}

func (l *Ledger) take(entry Entry) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	refused := entry.Token < l.highest[entry.Key]
	l.effects = append(l.effects, checker.Effect{Key: entry.Key, Token: entry.Token, Refused: refused})
	l.highest[entry.Key] = max(l.highest[entry.Key], entry.Token)
	return !refused
}

// Effects returns every write that came, in their order.
func (l *Ledger) Effects() []checker.Effect {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.effects)
}

// Close ends every connection.
func (l *Ledger) Close() error {
	err := l.server.Close()
	l.serving.Wait()
	return err
}
