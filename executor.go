package firjob

import (
	"slices"
	"time"
)

// ExecutorState is what an executor says of itself, or what somebody has set
// through the API; the stricter of the two counts.
type ExecutorState string

// The states of an executor.
const (
	ExecutorActive   ExecutorState = "active"
	ExecutorDraining ExecutorState = "draining" // finishes what it has, takes nothing new, then leaves
	ExecutorCordoned ExecutorState = "cordoned" // finishes what it has, takes nothing new, and stays
)

// Executor is one machine of an app: app + address + incarnation. The
// incarnation is fresh at each start, so that a process that comes back at its
// old address is not taken for the one that died there.
type Executor struct {
	App         string            `json:"app"`
	Address     string            `json:"address"` // host:port
	Incarnation string            `json:"incarnation"`
	Version     string            `json:"version,omitempty"` // the user's program, as it calls itself
	Labels      map[string]string `json:"labels,omitempty"`  // for selectors: zone, gpu, canary …
	Capacity    int               `json:"capacity"`          // handlers that run at a time
	Queue       int               `json:"queue"`             // triggers it holds beyond those
	Running     int               `json:"running"`           // handlers running or waiting at the last beat
	State       ExecutorState     `json:"state"`
	StartedAt   time.Time         `json:"started_at"`
	LastBeat    time.Time         `json:"last_beat"` // by the clock of the store that holds the registry
}

// ExecutorKey identifies an executor process.
type ExecutorKey struct {
	App, Address, Incarnation string
}

// Key returns e's identity.
func (e Executor) Key() ExecutorKey { return ExecutorKey{e.App, e.Address, e.Incarnation} }

// Fits reports whether e has every label of a selector.
func (e Executor) Fits(selector map[string]string) bool {
	for name, value := range selector {
		if have, ok := e.Labels[name]; !ok || have != value {
			return false
		}
	}
	return true
}

// Mark is what somebody has set about the executor at an address, through the
// API. It stays when the executor restarts, until it is set to active again.
type Mark struct {
	App       string        `json:"app"`
	Address   string        `json:"address"`
	State     ExecutorState `json:"state"`
	Reason    string        `json:"reason,omitempty"`
	CreatedAt time.Time     `json:"created_at"`
}

// App is a group of executors that share one name and one secret.
type App struct {
	Name      string    `json:"name"`
	CreatedAt time.Time `json:"created_at"`
	Version   int       `json:"version"`
	AppLimits
}

// AppLimits bound what the executions of an app may do together, over all
// replicas.
type AppLimits struct {
	MaxRunning   int     `json:"max_running"`    // attempts at a time; 0 = no limit
	MaxPerSecond float64 `json:"max_per_second"` // starts, retries included; bursts of one second's worth; 0 = no limit
}

// Bounds of an app's limits.
const (
	MaxAppRunning   = 100_000
	MaxAppPerSecond = 1_000_000
)

// Limited reports whether there is any limit.
func (l AppLimits) Limited() bool { return l.MaxRunning > 0 || l.MaxPerSecond > 0 }

// Timing of the registry. An executor that has not beaten for DeadAfter is
// taken to be gone: three beats, so that one lost packet or one pause of the
// collector means nothing.
const (
	BeatInterval = time.Second
	DeadAfter    = 3 * time.Second
	// MaxNameAfter bounds BeatReply.NameAfter: whatever waits for beats to name what
	// executors hold counts on it.
	MaxNameAfter = time.Second
)

// Stricter returns the stricter of two states: draining before cordoned before
// active. Both of the former take nothing new; draining says besides that the
// executor is about to leave.
func (s ExecutorState) Stricter(o ExecutorState) ExecutorState {
	order := ExecutorStates()
	if slices.Index(order, o) > slices.Index(order, s) {
		return o
	}
	return s
}

// ExecutorStates lists every state of an executor, the stricter later.
func ExecutorStates() []ExecutorState {
	return []ExecutorState{ExecutorActive, ExecutorCordoned, ExecutorDraining}
}
