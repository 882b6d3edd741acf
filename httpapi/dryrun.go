package httpapi

import (
	"context"
	"net/http"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// queryDryRun is the parameter of every request that changes something.
const queryDryRun = "dry_run"

// headerDryRun marks the answer to one that changed nothing.
const headerDryRun = "Firjob-Dry-Run"

// dryRun lets a request with dry_run=true go its whole way, up to the end of its
// transaction, which is then rolled back. The parameter is taken out of the
// query: it belongs to no operation of its own.
func (s *server) dryRun(next http.Handler) http.Handler {
	return s.handle(func(w http.ResponseWriter, r *http.Request) error {
		query := r.URL.Query()
		if !writes(r.Method) || !query.Has(queryDryRun) {
			next.ServeHTTP(w, r)
			return nil
		}
		said := query[queryDryRun]
		if len(said) > 1 {
			return faulty("query."+queryDryRun, said, repeated)
		}
		if said[0] != "true" && said[0] != "false" {
			return faulty("query."+queryDryRun, said[0], "must be true or false")
		}
		query.Del(queryDryRun)
		r = r.Clone(r.Context())
		r.URL.RawQuery = query.Encode()
		if said[0] == "true" {
			w.Header().Set(headerDryRun, "true")
			r = r.WithContext(ports.WithWrite(r.Context(), ports.Write{DryRun: true}))
		}
		next.ServeHTTP(w, r)
		return nil
	})
}

// writes reports whether requests of a method may change anything.
func writes(method string) bool { return method != http.MethodGet && method != http.MethodHead }

// silent is a scheduler that hears nothing of dry runs: what they did is not
// there for it to act upon.
type silent struct{ Scheduler }

// JobChanged passes on what was not a dry run.
func (s silent) JobChanged(ctx context.Context, ids ...firjob.JobID) {
	if !ports.WriteOf(ctx).DryRun && len(ids) > 0 {
		s.Scheduler.JobChanged(ctx, ids...)
	}
}

// Announce passes on what was not a dry run.
func (s silent) Announce(ctx context.Context, due ...firjob.Due) {
	if !ports.WriteOf(ctx).DryRun && len(due) > 0 {
		s.Scheduler.Announce(ctx, due...)
	}
}

// Cancel passes on what was not a dry run.
func (s silent) Cancel(ctx context.Context, app string, attempts ...firjob.AttemptRef) {
	if !ports.WriteOf(ctx).DryRun {
		s.Scheduler.Cancel(ctx, app, attempts...)
	}
}

// ExecutorMarked passes on what was not a dry run.
func (s silent) ExecutorMarked(ctx context.Context, mark firjob.Mark) {
	if !ports.WriteOf(ctx).DryRun {
		s.Scheduler.ExecutorMarked(ctx, mark)
	}
}
