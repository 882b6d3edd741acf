package firjob

import (
	"encoding/json"
	"time"
)

// Overlap says what a job does when it is due while it still runs. It is
// decided across the cluster, in Postgres, and counts from the claim to the
// final state, waits between attempts included.
type Overlap string

// The overlap rules.
const (
	OverlapAllow Overlap = "allow" // runs beside it
	OverlapSkip  Overlap = "skip"  // is recorded as skipped
	OverlapQueue Overlap = "queue" // waits for its turn, in the order of scheduled time
)

// Route says how an executor is picked among the live ones of the app.
type Route string

// The routes.
const (
	RouteRoundRobin Route = "round_robin"
	RouteRandom     Route = "random"
	RouteLeastBusy  Route = "least_busy" // most free capacity: of the latest beat, less what was sent since
)

// Delivery says what happens to an attempt whose outcome cannot be known.
type Delivery string

// The deliveries.
const (
	AtLeastOnce Delivery = "at_least_once" // sent again with a higher token
	AtMostOnce  Delivery = "at_most_once"  // ends as lost
)

// MisfirePolicy says what becomes of fires that are later than the grace.
type MisfirePolicy string

// The misfire policies.
const (
	MisfireFireOnce MisfirePolicy = "fire_once" // the latest runs, those before are recorded as missed
	MisfireSkip     MisfirePolicy = "skip"      // all are recorded as missed
	MisfireFireAll  MisfirePolicy = "fire_all"  // the latest MaxCatchUp run, those before are recorded as missed
)

// Misfire is a job's rule for fires that could not be sent in time.
type Misfire struct {
	Policy MisfirePolicy `json:"policy"`
	Grace  Duration      `json:"grace"` // a fire that is not later than this always runs
}

// Limits of a job.
const (
	MaxCatchUp    = 1000                 // fires that fire_all runs after one stop
	MaxParams     = 64 << 10             // bytes of a job's or a trigger's params
	MaxResult     = 1 << 20              // bytes of an execution's result
	MaxName       = 200                  // bytes of a name
	MaxBacklog    = 366 * 24 * time.Hour // how far in the past an "at" may lie
	MaxTimeout    = 30 * 24 * time.Hour
	MaxGrace      = 24 * time.Hour
	MinInterval   = 100 * time.Millisecond
	MinPriority   = -10
	MaxPriority   = 10
	MaxAttempts   = 100
	MaxFactor     = 10 // by which a retry's waits may grow
	DefaultGrace  = 5 * time.Second
	MinSecretSize = 32 // characters of an app's secret or of the admin token
)

// Job is a definition: what to run, for which app, when, and by which policies.
type Job struct {
	ID           JobID           `json:"id"`
	App          string          `json:"app"`
	Name         string          `json:"name"`
	Handler      string          `json:"handler"`
	Params       json.RawMessage `json:"params,omitempty"`
	Schedule     Schedule        `json:"schedule"`
	Misfire      Misfire         `json:"misfire"`
	Overlap      Overlap         `json:"overlap"`
	Route        Route           `json:"route"`
	Delivery     Delivery        `json:"delivery"`
	Timeout      Duration        `json:"timeout"` // of one attempt; 0 = none
	Retry        Retry           `json:"retry"`
	Priority     int             `json:"priority"`
	Enabled      bool            `json:"enabled"`
	PausedReason string          `json:"paused_reason,omitempty"`
	Version      int             `json:"version"`
	NextFireAt   *time.Time      `json:"next_fire_at,omitempty"`
	CreatedAt    time.Time       `json:"created_at"`
	UpdatedAt    time.Time       `json:"updated_at"`
}

// NewJob returns a job with every default set; App, Name, Handler and Schedule
// are the caller's to fill.
func NewJob() Job {
	return Job{
		Misfire:  Misfire{Policy: MisfireFireOnce, Grace: Duration(DefaultGrace)},
		Overlap:  OverlapAllow,
		Route:    RouteRoundRobin,
		Delivery: AtLeastOnce,
		Retry:    DefaultRetry(),
		Enabled:  true,
	}
}
