package httpapi

import (
	"log/slog"
	"net/http"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/firjob/firjob"
)

// Options is what the HTTP surface needs. Store and Scheduler must be set.
type Options struct {
	Store     Store
	Scheduler Scheduler
	// AdminToken opens /api/v1 and /metrics as a bearer token. Empty leaves
	// both open to everybody, so that the listener must not reach beyond the
	// machine.
	AdminToken string
	// OpenMetrics opens /metrics to everybody, token or not.
	OpenMetrics bool
	// Metrics is served on /metrics and takes the surface's own metrics. A
	// registry takes them once, hence one registry for each New. Default: a new one.
	Metrics *prometheus.Registry
	// Followers bounds the logs that are streamed at a time. Default: 100.
	Followers int
	// Stopping is closed when the server is about to stop: streams end, so that
	// their clients connect elsewhere. Default: never.
	Stopping <-chan struct{}
	// Version is served on /version. Fields left empty default to what the
	// toolchain wrote into the program.
	Version VersionInfo
	// PublicURL is how clients reach the server, without a slash at the end. It
	// precedes the paths in the "type" of errors. Default: none.
	PublicURL string
	// Log takes requests (debug; warn for those that fail on our side) and
	// internal errors. Default: discarded.
	Log *slog.Logger
}

// server is the surface. Nothing in it changes after New, but for its caches, which
// lock.
type server struct {
	Options
	log     *slog.Logger
	router  *chi.Mux
	api     huma.API
	admin   tokenHash
	apps    *credentialCache
	metrics *requestMetrics
	schemas sync.Map // of Go types, as *huma.Schema
	// followers holds a place for each log that is streamed.
	followers chan struct{}
	// operations are those of the API, by method and path.
	operations map[string]operation
}

// New returns the HTTP surface. It is safe for any number of goroutines.
func New(o Options) http.Handler {
	if o.Metrics == nil {
		o.Metrics = prometheus.NewRegistry()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Followers == 0 {
		o.Followers = defaultFollowers
	}
	o.Version = o.Version.withBuild()
	s := &server{
		Options: o,
		log:     o.Log.With("component", "httpapi"),
		router:  chi.NewRouter(),
		admin:   hashToken(o.AdminToken),
		apps:    newCredentialCache(),
		metrics: newRequestMetrics(o.Metrics),

		followers:  make(chan struct{}, o.Followers),
		operations: map[string]operation{},
	}
	s.Scheduler = silent{o.Scheduler}
	s.router.Use(s.requestID, s.observe, s.recoverPanic, securityHeaders, s.sameOrigin, s.printableRequest,
		deadlines, middleware.GetHead)
	s.router.NotFound(s.handle(notFound))
	s.router.MethodNotAllowed(s.handle(s.methodNotAllowed))
	s.routeAPI()
	s.routeExecutors()
	s.routeHealth()
	s.finishOpenAPI()
	s.routeDocs()
	return s.router
}

// routeAPI adds what people and programs call, under /api/v1.
func (s *server) routeAPI() {
	s.api = humachi.New(s.router.With(s.requireAdmin, s.dryRun, s.idempotent), s.humaConfig())
	s.api.UseMiddleware(s.onceEach)
	s.routeApps()
	s.routeJobs()
	s.routeBatches()
	s.routeTriggers()
	s.routeSchedules()
	s.routeCalendars()
	s.routeBackfills()
	s.routeExecutions()
	s.routeDeadLetters()
	s.routeExplain()
	s.routeLogs()
	s.routeStats()
}

// routeExecutors adds what executors call, under /executor/v1. These routes
// bypass huma: a callback carries hundreds of results, many times a second.
func (s *server) routeExecutors() {
	r := s.router.With(s.requireExecutor)
	r.Post(firjob.PathRegister, s.handle(s.beat))
	r.Post(firjob.PathHeartbeat, s.handle(s.beat))
	r.Post(firjob.PathCallback, s.handle(s.callback))
	r.Post(firjob.PathLeave, s.handle(s.leave))
	r.Post(firjob.PathStart, s.handle(s.start))
	r.Post(firjob.PathReport, s.handle(s.report))
}

func (s *server) routeHealth() {
	s.router.Get("/livez", s.livez)
	s.router.Get("/readyz", s.handle(s.readyz))
	s.router.Get("/version", s.version)
	metrics := promhttp.HandlerFor(s.Metrics, promhttp.HandlerOpts{})
	if s.OpenMetrics {
		s.router.Method(http.MethodGet, "/metrics", metrics)
	} else {
		s.router.With(s.requireAdmin).Method(http.MethodGet, "/metrics", metrics)
	}
}

// handle makes a handler of a function that returns its error.
func (s *server) handle(serve func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := serve(w, r); err != nil {
			s.problem(r.Context(), err).write(w)
		}
	}
}
