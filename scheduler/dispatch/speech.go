package dispatch

import (
	"errors"
	"net/http"
	"sync/atomic"

	"github.com/firjob/firjob/internal/codec"
	"github.com/firjob/firjob/internal/ports"
)

// speech is in which encoding an executor process gets its triggers: JSON, until an
// answer of that very process says that it takes the compact one, and for good once
// it has refused that all the same. The zero value is ready to use.
type speech struct{ state atomic.Int32 }

const (
	compact = 1 // its latest answer says that it takes it
	plain   = 2 // it has refused it
)

func (s *speech) encoding() codec.Encoding {
	if s.state.Load() == compact {
		return codec.CBOR
	}
	return codec.JSON
}

// heard takes what an answer says.
func (s *speech) heard(h http.Header) {
	now := int32(0)
	if codec.Takes(h.Values("Accept")) == codec.CBOR {
		now = compact
	}
	if before := s.state.Load(); before != plain && before != now {
		s.state.CompareAndSwap(before, now)
	}
}

// misheard reports whether err may mean that the process does not read the encoding
// that it was spoken to in.
func misheard(in codec.Encoding, err error) bool {
	refused := new(ports.Refused)
	return in != codec.JSON && errors.As(err, &refused) &&
		(refused.Status == http.StatusUnsupportedMediaType || refused.Status == http.StatusBadRequest)
}

// corrected notes that the process has understood in JSON what it had refused.
func (s *speech) corrected() { s.state.Store(plain) }
