package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// readyTimeout bounds the look at the stores: a probe gives up soon, too.
const readyTimeout = 2 * time.Second

// livez says that the process answers, and looks at nothing else: to restart a
// server does not heal its database.
func (s *server) livez(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, jsonType, http.StatusOK, healthBody{Status: "live"})
}

type healthBody struct {
	Status string        `json:"status" example:"ready"`
	Checks []healthCheck `json:"checks,omitempty" nullable:"false" doc:"With ?verbose"`
}

type healthCheck struct {
	Name string `json:"name" example:"redis"`
	OK   bool   `json:"ok"`
	Note string `json:"note" example:"reached"`
}

// readyz answers 200 if requests may come here: Postgres is there and the
// replica is not leaving. Redis is told but does not count, for the replica
// works without it. The causes of failures go to the log, not to the prober.
func (s *server) readyz(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	checks := []healthCheck{s.checkPostgres(ctx)}
	status, err := s.Scheduler.Status(ctx)
	checks = append(checks, checkRedis(status, err), checkDraining(status))
	if checks[0].OK && !status.Draining {
		body := healthBody{Status: "ready"}
		if r.URL.Query().Has("verbose") {
			body.Checks = checks
		}
		writeJSON(w, jsonType, http.StatusOK, body)
		return nil
	}
	failed := firjob.Errorf(firjob.CodeUnavailable, "not ready")
	for _, c := range checks {
		if !c.OK {
			failed.Message += "; " + c.Name + ": " + c.Note
		}
	}
	return failed
}

func (s *server) checkPostgres(ctx context.Context) healthCheck {
	if err := s.Store.Ready(ctx); err != nil {
		s.log.WarnContext(ctx, "not ready", "error", err)
		return healthCheck{Name: "postgres", Note: "cannot be used"}
	}
	return healthCheck{Name: "postgres", OK: true, Note: "can be used"}
}

func checkRedis(status ports.Status, err error) healthCheck {
	if err != nil || status.Degraded {
		return healthCheck{Name: "redis", Note: "degraded: out of reach, claims come straight from Postgres"}
	}
	return healthCheck{Name: "redis", OK: true, Note: "can be used"}
}

func checkDraining(status ports.Status) healthCheck {
	if status.Draining {
		return healthCheck{Name: "replica", Note: "draining"}
	}
	return healthCheck{Name: "replica", OK: true, Note: "serving"}
}
