package firjob

import (
	"encoding/json"
	"time"
)

// Overlap says what a job does when it is due while as many of its executions
// run as may (MaxRunning). It is decided across the cluster, in Postgres, and
// counts from the claim to the final state, waits between attempts included.
type Overlap string

// The overlap rules.
const (
	OverlapAllow Overlap = "allow" // runs beside them; beyond MaxRunning, if there is one, it waits as with queue
	OverlapSkip  Overlap = "skip"  // is recorded as skipped
	OverlapQueue Overlap = "queue" // waits for its turn, in the order of scheduled time
	// cancels the one that runs and begins once that has ended, or after ReplaceAfter.
	OverlapReplace Overlap = "replace"
)

// Route says how an executor is picked among those of the app that are live,
// active, fit the job's Selector and whose breaker is closed.
type Route string

// The routes. One that a flight was refused by, for want of room say, is not
// asked again for it; with first and last it waits for that very executor.
const (
	RouteRoundRobin Route = "round_robin" // in turn, counted for the whole app over all servers
	RouteRandom     Route = "random"      //
	// most free capacity: of the latest beat, less what was sent since.
	RouteLeastBusy     Route = "least_busy"
	RouteLeastRecent   Route = "least_recently_used"   // whose last execution of this job is the longest ago
	RouteLeastFrequent Route = "least_frequently_used" // who ran this job least often within a day
	// by the job, or by RouteKey of the params: the same key goes to the same executor.
	RouteConsistentHash Route = "consistent_hash"
	RouteFirst          Route = "first"     // the lowest address
	RouteLast           Route = "last"      // the highest address
	RouteFailover       Route = "failover"  // in RouteOrder, then by address: the next only when one refuses
	RouteSticky         Route = "sticky"    // the one that ran it last, as long as it lives
	RouteBroadcast      Route = "broadcast" // every one of them: one shard each
)

// Routes lists every route.
func Routes() []Route {
	return []Route{RouteRoundRobin, RouteRandom, RouteLeastBusy, RouteLeastRecent, RouteLeastFrequent,
		RouteConsistentHash,
		RouteFirst, RouteLast, RouteFailover, RouteSticky, RouteBroadcast}
}

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
	// the latest Misfire.MaxCatchUp run, those before are recorded as missed.
	MisfireFireAll MisfirePolicy = "fire_all"
)

// Misfire is a job's rule for fires that could not be sent in time.
type Misfire struct {
	Policy     MisfirePolicy `json:"policy"`
	Grace      Duration      `json:"grace"`        // a fire that is not later than this always runs
	MaxCatchUp int           `json:"max_catch_up"` // late fires that fire_all runs after one outage
}

// Limits of a job.
const (
	MaxCatchUp    = 1000                 // of Misfire.MaxCatchUp, and its default
	MaxRunning    = 1000                 // of Job.MaxRunning
	MaxQueueLimit = 100_000              // of Job.QueueLimit
	MaxParents    = 50                   // of a job
	MaxLabels     = 32                   // of an executor, and of a selector
	MaxRouteOrder = 100                  // addresses of a failover route
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
	// DefaultReplaceAfter is how long replace waits for the end of what it cancels.
	DefaultReplaceAfter = 30 * time.Second
	// DefaultQueueLimit bounds what waits for one job.
	DefaultQueueLimit = 1000
	MinSecretSize     = 32 // characters of an app's secret or of the admin token
)

// PrioritySpan is what one step of priority is worth in a queue: who waits is
// let in by scheduled time less priority × PrioritySpan. So priority 10 goes
// before what came up to 100 s earlier with priority 0, and nobody starves: what
// has waited that much longer goes first, whatever its priority.
const PrioritySpan = 10 * time.Second

// Rank is the place of an execution in a queue, the lowest first.
func Rank(scheduledAt time.Time, priority int) int64 {
	return scheduledAt.UnixMilli() - int64(priority)*PrioritySpan.Milliseconds()
}

// Job is a definition: what to run, for which app, when, and by which policies.
type Job struct {
	ID       JobID           `json:"id"`
	App      string          `json:"app"`
	Name     string          `json:"name"`
	Handler  string          `json:"handler,omitempty"`
	HTTP     *HTTPCall       `json:"http,omitempty"` // what the server calls itself, instead of a handler
	Params   json.RawMessage `json:"params,omitempty"`
	Schedule Schedule        `json:"schedule"`
	Misfire  Misfire         `json:"misfire"`
	// what is sent later than this after its scheduled time is missed instead; 0 = none
	StartDeadline Duration `json:"start_deadline"`
	Overlap       Overlap  `json:"overlap"`
	MaxRunning    int      `json:"max_running"` // executions at a time; 0 = no limit with allow, else 1
	// executions that may wait for their turn; one more is skipped
	QueueLimit   int      `json:"queue_limit"`
	ReplaceAfter Duration `json:"replace_after"` // how long replace waits for the end of what it cancels
	Route        Route    `json:"route"`
	// of consistent_hash: the field of the params that is the key; "" = the job
	RouteKey   string            `json:"route_key,omitempty"`
	RouteOrder []string          `json:"route_order,omitempty"` // of failover: addresses, the preferred first
	Selector   map[string]string `json:"selector,omitempty"`    // labels that an executor must have
	// the executor confirms its token before the handler begins
	Exclusive    bool       `json:"exclusive,omitempty"`
	Delivery     Delivery   `json:"delivery"`
	Timeout      Duration   `json:"timeout"` // of one attempt; 0 = none
	Retry        Retry      `json:"retry"`
	Priority     int        `json:"priority"`
	Parents      *Parents   `json:"parents,omitempty"` // the jobs whose end triggers this one
	Enabled      bool       `json:"enabled"`
	PausedReason string     `json:"paused_reason,omitempty"`
	Version      int        `json:"version"`
	NextFireAt   *time.Time `json:"next_fire_at,omitempty"`
	CreatedAt    time.Time  `json:"created_at"`
	UpdatedAt    time.Time  `json:"updated_at"`

	// Calendars are the definitions that Schedule.Calendars names, as the store
	// knows them.
	Calendars []Calendar `json:"-"`
}

// Slots returns how many executions of the job may run at a time; 0 = no limit.
func (j Job) Slots() int {
	if j.Overlap != OverlapAllow && j.MaxRunning == 0 {
		return 1
	}
	return j.MaxRunning
}

// NewJob returns a job with every default set; App, Name, Handler and Schedule
// are the caller's to fill.
func NewJob() Job {
	return Job{
		Misfire:      Misfire{Policy: MisfireFireOnce, Grace: Duration(DefaultGrace), MaxCatchUp: MaxCatchUp},
		Overlap:      OverlapAllow,
		QueueLimit:   DefaultQueueLimit,
		ReplaceAfter: Duration(DefaultReplaceAfter),
		Route:        RouteRoundRobin,
		Delivery:     AtLeastOnce,
		Retry:        DefaultRetry(),
		Enabled:      true,
	}
}
