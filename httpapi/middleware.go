package httpapi

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"github.com/firjob/firjob"
)

// Bounds of one request. Reading ends after the handler must have: when a read
// deadline passes, net/http takes the client to be gone and cancels the handler.
const (
	handleTimeout = 15 * time.Second
	readTimeout   = 20 * time.Second
	writeTimeout  = 30 * time.Second

	batchHandleTimeout = time.Minute
	batchReadTimeout   = 65 * time.Second
	batchWriteTimeout  = 90 * time.Second
)

// batchSuffix ends the paths that take thousands of things at once.
const batchSuffix = ":batch"

// Headers that the surface reads.
const (
	headerRequestID = "X-Request-Id"
	headerKey       = "Idempotency-Key"
)

type requestIDKey struct{}

// requestID takes over the caller's id, if it is a harmless word, or makes one.
func (s *server) requestID(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get(headerRequestID)
		if !harmless(id) {
			var b [8]byte
			_, _ = rand.Read(b[:]) // never fails: crypto/rand aborts the program instead
			id = hex.EncodeToString(b[:])
		}
		w.Header().Set(headerRequestID, id)
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requestIDKey{}, id)))
	})
}

func requestIDOf(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

func harmless(id string) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	for _, c := range []byte(id) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

// observe logs and measures each request. Headers, bodies and queries stay out
// of the log: they may hold what is secret.
func (s *server) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		ww := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		next.ServeHTTP(ww, r)
		status, took := ww.Status(), time.Since(began)
		if status == 0 {
			status = http.StatusOK
		}
		route := chi.RouteContext(r.Context()).RoutePattern()
		if route == "" {
			route = "unmatched"
		}
		if !strings.HasPrefix(ww.Header().Get("Content-Type"), mimeEvents) { // lasts as long as its reader likes
			s.metrics.observe(r.Method, route, status, took)
		}
		level := slog.LevelDebug
		if status >= http.StatusInternalServerError && r.Context().Err() == nil { // else the client went away
			level = slog.LevelWarn
		}
		s.log.LogAttrs(r.Context(), level, "request",
			slog.String("method", r.Method), slog.String("route", route), slog.Int("status", status),
			slog.Duration("took", took), slog.String("request_id", requestIDOf(r.Context())))
	})
}

// recoverPanic answers 500 for a handler that panicked. The stack goes to the
// log alone.
func (s *server) recoverPanic(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			switch v := recover(); v {
			case nil:
			case http.ErrAbortHandler:
				panic(v)
			default:
				s.problem(r.Context(), fmt.Errorf("panic: %v\n%s", v, debug.Stack())).write(w)
			}
		}()
		next.ServeHTTP(w, r)
	})
}

func securityHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// sameOrigin refuses what a page of another site makes a browser send: without
// a token, on a developer's machine, nothing else would keep it out.
func (s *server) sameOrigin(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(s.handle(func(http.ResponseWriter, *http.Request) error {
		return firjob.Errorf(firjob.CodeForbidden, "a page of another origin may not send this request")
	}))
	return protection.Handler(next)
}

// deadlines bounds reading, handling and writing. A server that cannot set the
// deadlines of its connections, as in tests, does without.
func deadlines(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		read, handle, write := timeouts(r.URL.Path)
		conn, now := http.NewResponseController(w), time.Now()
		_ = conn.SetReadDeadline(now.Add(read))
		_ = conn.SetWriteDeadline(now.Add(write))
		ctx, cancel := context.WithTimeout(context.WithValue(r.Context(), unhurriedKey{}, r.Context()), handle)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

type unhurriedKey struct{}

// unhurried returns the context of a request without the bound of deadlines: it
// ends when the client goes away.
func unhurried(ctx context.Context) context.Context {
	whole, _ := ctx.Value(unhurriedKey{}).(context.Context)
	return whole
}

func timeouts(path string) (read, handle, write time.Duration) {
	if strings.HasSuffix(path, batchSuffix) {
		return batchReadTimeout, batchHandleTimeout, batchWriteTimeout
	}
	return readTimeout, handleTimeout, writeTimeout
}

// printableRequest refuses parameters that no text in the store can equal, and
// that the store would fail on: broken UTF-8 and control characters. It refuses
// as well what url.Query would leave out without a word, dry_run among it.
func (s *server) printableRequest(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := url.ParseQuery(r.URL.RawQuery)
		query, _ := url.QueryUnescape(r.URL.RawQuery) // its faults are those of err
		var fault error
		switch {
		case !printable(r.URL.Path):
			fault = faulty("path", nil, "must be printable UTF-8")
		case err != nil || !printable(query):
			fault = faulty("query", nil, "must be printable UTF-8, percent-encoded, and without semicolons")
		case !printable(r.Header.Get(headerKey)):
			fault = faulty("header."+headerKey, nil, "must be printable UTF-8")
		}
		if fault != nil {
			s.problem(r.Context(), fault).write(w)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func printable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

func notFound(http.ResponseWriter, *http.Request) error {
	return firjob.Errorf(firjob.CodeNotFound, "there is nothing at this path; /docs lists what there is")
}

func (s *server) methodNotAllowed(_ http.ResponseWriter, r *http.Request) error {
	header := http.Header{}
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete} {
		if s.router.Match(chi.NewRouteContext(), method, r.URL.Path) {
			header.Add("Allow", method)
		}
	}
	return &httpError{http.StatusMethodNotAllowed, header,
		firjob.Errorf(firjob.CodeInvalid, "this path does not take %s", r.Method)}
}
