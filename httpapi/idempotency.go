package httpapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// A POST with an Idempotency-Key is carried out once. The key is recorded in the
// transaction of the change (storage), the answer after that, and only then is
// it sent: whoever has seen an answer gets it again. What failed was rolled back
// together with its key, so that a repeat is a new try.

const (
	headerReplayed = "Idempotent-Replayed"
	// maxKey bounds a key, in bytes.
	maxKey = 255
	// maxAnswer bounds an answer that is kept, in bytes: that to a whole batch of
	// jobs. One beyond it is not known to a repeat, as if it had been lost.
	maxAnswer = 16 << 20
)

// idempotent answers the repeat of a POST from what is recorded of the first.
func (s *server) idempotent(next http.Handler) http.Handler {
	return s.handle(func(w http.ResponseWriter, r *http.Request) error {
		op := s.operations[r.Method+" "+chi.RouteContext(r.Context()).RoutePattern()]
		key := r.Header.Get(headerKey)
		if r.Method != http.MethodPost || key == "" || op.ownKeys || ports.WriteOf(r.Context()).DryRun {
			next.ServeHTTP(w, r)
			return nil
		}
		if len(key) > maxKey {
			return faulty("header."+headerKey, nil, fmt.Sprintf("has %d bytes; want at most %d", len(key), maxKey))
		}
		write := ports.Write{Key: key, Operation: r.Method + " " + r.URL.Path}
		var err error
		if write.Fingerprint, err = fingerprint(r, op.bodyLimit()); err != nil {
			return err
		}
		known, err := s.Store.Replay(r.Context(), write)
		switch {
		case err != nil:
			return fmt.Errorf("look for an earlier request: %w", err)
		case known == nil:
			s.carryOut(w, r, next, write, op)
			return nil
		case known.Status == 0:
			return firjob.Errorf(firjob.CodeConflict,
				"the request with the idempotency key %q was carried out, but its answer is not known: %s", key,
				op.lost())
		}
		replay(w, known)
		return nil
	})
}

// lost says why an answer that was given may not be known.
func (op operation) lost() string {
	if op.secret {
		return "it held a secret, which is shown once"
	}
	return "ask again in a moment, or look at what was made"
}

// fingerprint tells requests with one key apart, by query and body, and puts the
// body back to be read. Of one that is too large only the beginning counts: it
// will be refused.
func fingerprint(r *http.Request, limit int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	if err != nil {
		return nil, &httpError{http.StatusBadRequest, http.Header{},
			firjob.Errorf(firjob.CodeInvalid, "the body cannot be read: %v", err)}
	}
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(body), r.Body), r.Body}
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\x00", r.URL.RawQuery)
	_, _ = sum.Write(body) // a hash takes everything
	return sum.Sum(nil), nil
}

// carryOut serves the first request with a key and keeps its answer.
func (s *server) carryOut(w http.ResponseWriter, r *http.Request, next http.Handler, write ports.Write, op operation) {
	made := &recorded{header: http.Header{}}
	next.ServeHTTP(made, r.WithContext(ports.WithWrite(r.Context(), write)))
	made.WriteHeader(http.StatusOK) // unless it has a status
	if made.status/100 == 2 && made.body.Len() <= maxAnswer && !op.secret {
		// It was carried out, also for a client that went away.
		ctx := context.WithoutCancel(r.Context())
		if err := s.Store.SaveAnswer(ctx, write, made.answer()); err != nil {
			s.log.WarnContext(ctx, "an answer cannot be kept for repeats", "request_id", requestIDOf(ctx), "error", err)
		}
	}
	maps.Copy(w.Header(), made.header)
	w.WriteHeader(made.status)
	_, _ = made.body.WriteTo(w) // an error of the connection has nobody to go to
}

// recorded is an answer that is not sent yet.
type recorded struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header, WriteHeader and Write are those of an http.ResponseWriter.
func (a *recorded) Header() http.Header { return a.header }
func (a *recorded) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}
func (a *recorded) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}

// replayedHeaders are those that an answer is kept with.
var replayedHeaders = []string{"Location", "Etag", "Content-Type", "Preference-Applied"}

func (a *recorded) answer() ports.Answer {
	kept := ports.Answer{Status: a.status, Headers: map[string]string{}, Body: a.body.Bytes()}
	for _, name := range replayedHeaders {
		if value := a.header.Get(name); value != "" {
			kept.Headers[name] = value
		}
	}
	return kept
}

func replay(w http.ResponseWriter, a *ports.Answer) {
	for name, value := range a.Headers {
		w.Header().Set(name, value)
	}
	w.Header().Set(headerReplayed, "true")
	w.WriteHeader(a.Status)
	_, _ = w.Write(a.Body) // an error of the connection has nobody to go to
}
