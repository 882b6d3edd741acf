package dispatch

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// A breaker opens after tripAfter failures in a row and lets one request try
// again after retryAfter.
const (
	tripAfter  = 3
	retryAfter = 2 * time.Second
)

// breakers holds one breaker per executor process. A process that comes back
// under a new incarnation starts with a closed one.
type breakers struct {
	log *slog.Logger
	mu  sync.Mutex
	of  map[string]breaker // by app and address
}

// breaker is what is kept about one executor process.
type breaker struct {
	incarnation string
	speech      *preference
	failure     *atomic.Pointer[failure] // the latest; nil: there was none
	*gobreaker.CircuitBreaker[struct{}]
}

// failure is a request that failed.
type failure struct {
	text string
	at   time.Time // store's clock
}

// maxFailureText bounds what is kept of an error, in bytes: it may hold what an
// executor has answered.
const maxFailureText = 300

// failed notes an error of a request.
func (b breaker) failed(err error, at time.Time) {
	text := err.Error()
	b.failure.Store(&failure{strings.ToValidUTF8(text[:min(len(text), maxFailureText)], ""), at})
}

// lastError returns the text of the latest failure.
func (b breaker) lastError() string {
	if f := b.failure.Load(); f != nil {
		return f.text
	}
	return ""
}

func (b *breakers) get(key firjob.ExecutorKey) breaker {
	b.mu.Lock()
	defer b.mu.Unlock()
	name := key.App + " " + key.Address
	if have, ok := b.of[name]; ok && have.incarnation == key.Incarnation {
		return have
	}
	if b.of == nil {
		b.of = make(map[string]breaker)
	}
	made := breaker{key.Incarnation, new(preference), new(atomic.Pointer[failure]),
		gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
			Name:        name,
			MaxRequests: 1,
			Timeout:     retryAfter,
			ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= tripAfter },
			// An executor that could not read a request is well; the request is not.
			IsExcluded: func(err error) bool {
				refused := new(ports.Refused)
				return errors.As(err, &refused) && refused.Unreadable()
			},
			OnStateChange: func(_ string, from, to gobreaker.State) {
				b.log.Info("breaker changed", "app", key.App, "executor", key.Address, "from", from.String(), "to",
					to.String())
			},
		})}
	b.of[name] = made
	return made
}

func (b *breakers) ready(key firjob.ExecutorKey) bool {
	return b.get(key).State() != gobreaker.StateOpen
}

// do runs f, a request made at the given instant, under the executor's breaker. An
// open breaker is a refusal.
func (b *breakers) do(key firjob.ExecutorKey, at time.Time, f func(*preference) error) error {
	process := b.get(key)
	_, err := process.Execute(func() (struct{}, error) {
		err := f(process.speech)
		if err != nil {
			process.failed(err, at)
		}
		return struct{}{}, err
	})
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		reason := fmt.Sprintf("the breaker of executor %s is open; the last error: %s", key.Address,
			process.lastError())
		return &ports.Refused{Reason: reason}
	}
	return err
}

// Contact returns how the triggers to an executor process went. A breaker that
// lets one request try again counts as open until that request has succeeded.
func (s *Sender) Contact(key firjob.ExecutorKey) ports.Contact {
	process := s.breakers.get(key)
	contact := ports.Contact{BreakerOpen: process.State() != gobreaker.StateClosed}
	if f := process.failure.Load(); f != nil {
		contact.LastError, contact.LastErrorAt = f.text, f.at
	}
	return contact
}

// Forget drops what is kept about an executor process that is gone.
func (s *Sender) Forget(key firjob.ExecutorKey) {
	s.breakers.mu.Lock()
	defer s.breakers.mu.Unlock()
	name := key.App + " " + key.Address
	if have, ok := s.breakers.of[name]; ok && have.incarnation == key.Incarnation {
		delete(s.breakers.of, name)
	}
}
