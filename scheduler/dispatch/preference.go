package dispatch

import (
	"errors"
	"net/http"
	"sync/atomic"

	"github.com/firjob/firjob/internal/codec"
	"github.com/firjob/firjob/internal/ports"
)

// preference is the encoding in which an executor process gets its triggers: JSON until an
// answer of the process accepts the compact one, and JSON for good once the process has
// refused it nevertheless. The zero value is ready to use.
type preference struct{ state atomic.Int32 }

const (
	compact = 1 // its latest answer says that it takes it
	plain   = 2 // it has refused it
)

func (s *preference) encoding() codec.Encoding {
	if s.state.Load() == compact {
		return codec.CBOR
	}
	return codec.JSON
}

// note takes what an answer accepts.
func (s *preference) note(h http.Header) {
	now := int32(0)
	if codec.Takes(h.Values("Accept")) == codec.CBOR {
		now = compact
	}
	if before := s.state.Load(); before != plain && before != now {
		s.state.CompareAndSwap(before, now)
	}
}

// misheard reports whether err may mean that the process does not read the encoding
// of the request.
func misheard(in codec.Encoding, err error) bool {
	refused := new(ports.Refused)
	return in != codec.JSON && errors.As(err, &refused) &&
		(refused.Status == http.StatusUnsupportedMediaType || refused.Status == http.StatusBadRequest)
}

// fallBack notes that the process has understood in JSON what it had refused.
func (s *preference) fallBack() { s.state.Store(plain) }
