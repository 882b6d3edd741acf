package httpapi

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/firjob/firjob"
)

// tokenHash is compared in place of a token, so that neither its length nor
// its first wrong byte shows in the time that takes.
type tokenHash [sha256.Size]byte

func hashToken(token string) tokenHash { return sha256.Sum256([]byte(token)) }

// requireAdmin lets only the admin token through, or everybody if there is none.
func (s *server) requireAdmin(next http.Handler) http.Handler {
	if s.AdminToken == "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, ok := bearer(r)
		given := hashToken(token)
		switch {
		case !ok || token == "":
			s.problem(r.Context(),
				unauthorized(`Bearer realm="firjob"`, "want the header Authorization: Bearer <admin token>")).write(w)
		case subtle.ConstantTimeCompare(given[:], s.admin[:]) != 1:
			s.problem(r.Context(),
				unauthorized(`Bearer realm="firjob", error="invalid_token"`, "the token is not the server's")).write(w)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func bearer(r *http.Request) (token string, ok bool) {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(token), ok && strings.EqualFold(scheme, "Bearer")
}

func unauthorized(challenge, format string, args ...any) error {
	return &httpError{http.StatusUnauthorized, http.Header{"Www-Authenticate": {challenge}},
		firjob.Errorf(firjob.CodeUnauthorized, format, args...)}
}

type appKey struct{}

// requireExecutor lets only an app's own credentials through and notes the app.
func (s *server) requireExecutor(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		app, secret, ok := r.BasicAuth()
		err := unauthorized(`Basic realm="firjob executors"`, "want the app's name and secret as Basic authorization")
		if ok {
			err = s.checkApp(r.Context(), app, secret)
		}
		if err != nil {
			s.problem(r.Context(), err).write(w)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), appKey{}, app)))
	})
}

// knownPatience is how long the store may take to confirm credentials that were
// good before: less than what an executor grants a beat.
const knownPatience = 500 * time.Millisecond

// checkApp compares an app's secret with what the store knows, or with what the
// cache remembers. While the store cannot be reached, credentials that were good
// within the hour still are: results must not wait for it at the door.
func (s *server) checkApp(ctx context.Context, app, secret string) error {
	key, now := credentials(app, secret), time.Now()
	age, known := s.apps.age(key, now)
	if known && age < credentialsFresh {
		return nil
	}
	if known { // a store that hangs must not make an executor look dead
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, knownPatience)
		defer cancel()
	}
	want, err := s.Store.AppAuthHash(ctx, app)
	code := firjob.CodeOf(err)
	switch {
	case err != nil && code != firjob.CodeNotFound && known:
		return nil
	case err != nil && code != firjob.CodeNotFound:
		return fmt.Errorf("check the credentials of app %q: %w", app, err)
	case !hmac.Equal(firjob.AuthHash(secret), want): // want is empty for an unknown app
		return unauthorized(`Basic realm="firjob executors"`, "the app or its secret is wrong")
	}
	s.apps.remember(key, now)
	return nil
}

// ownApp refuses a message that speaks for another app than the one whose
// credentials came with it.
func ownApp(ctx context.Context, app string) error {
	if own := ctx.Value(appKey{}); own != app {
		return firjob.Errorf(firjob.CodeForbidden, "the credentials are those of app %q, the body speaks for %q", own,
			app)
	}
	return nil
}
