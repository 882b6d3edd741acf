package dispatch

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/firjob/firjob"
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
	speech      *speech
	*gobreaker.CircuitBreaker[struct{}]
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
	made := breaker{key.Incarnation, new(speech), gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Name:        name,
		MaxRequests: 1,
		Timeout:     retryAfter,
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= tripAfter },
		// An executor that could not read a request is well; the request is not.
		IsExcluded: func(err error) bool {
			refused := new(firjob.Refused)
			return errors.As(err, &refused) && refused.Unreadable()
		},
		OnStateChange: func(_ string, from, to gobreaker.State) {
			b.log.Info("breaker changed", "app", key.App, "executor", key.Address, "from", from.String(), "to", to.String())
		},
	})}
	b.of[name] = made
	return made
}

func (b *breakers) ready(key firjob.ExecutorKey) bool {
	return b.get(key).State() != gobreaker.StateOpen
}

// do runs f under the executor's breaker. An open breaker is a refusal.
func (b *breakers) do(key firjob.ExecutorKey, f func(*speech) error) error {
	process := b.get(key)
	_, err := process.Execute(func() (struct{}, error) { return struct{}{}, f(process.speech) })
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		return &firjob.Refused{Reason: fmt.Sprintf("the breaker of executor %s is open", key.Address), Cause: err}
	}
	return err
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
