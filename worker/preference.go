package worker

import (
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/firjob/firjob/internal/codec"
)

// plainFor is how long results go to the server in JSON after it has refused the
// compact encoding: one of several behind a balancer may be older than the others.
const plainFor = time.Minute

// preference is the encoding in which results go to the server: JSON until an answer
// accepts the compact one. The zero value is ready to use.
type preference struct {
	mu         sync.Mutex
	compact    bool
	plainUntil time.Time
}

func (s *preference) compactNow(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.compact && !now.Before(s.plainUntil)
}

// note takes what an answer accepts.
func (s *preference) note(h http.Header) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.compact = codec.Takes(h.Values("Accept")) == codec.CBOR
}

// errSpeech means that results must go in JSON.
var errSpeech = errors.New("the server does not read the compact encoding")

// fallBack returns errSpeech in place of an error of a compact callback that may mean
// so, and JSON is used for a while.
func (s *preference) fallBack(err error, now time.Time) error {
	switch statusOf(err) {
	case http.StatusUnsupportedMediaType, http.StatusBadRequest:
	default:
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.plainUntil = now.Add(plainFor)
	return errSpeech
}
