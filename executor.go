package firjob

import "time"

// ExecutorState is what an executor says of itself.
type ExecutorState string

// The states of an executor.
const (
	ExecutorActive   ExecutorState = "active"
	ExecutorDraining ExecutorState = "draining" // finishes what it has, takes nothing new
)

// Executor is one machine of an app: app + address + incarnation. The
// incarnation is fresh at each start, so that a process that comes back at its
// old address is not taken for the one that died there.
type Executor struct {
	App         string        `json:"app"`
	Address     string        `json:"address"` // host:port
	Incarnation string        `json:"incarnation"`
	Version     string        `json:"version,omitempty"` // the user's program, as it calls itself
	Capacity    int           `json:"capacity"`          // handlers that run at a time
	Queue       int           `json:"queue"`             // triggers it holds beyond those
	Running     int           `json:"running"`           // handlers running or waiting at the last beat
	State       ExecutorState `json:"state"`
	StartedAt   time.Time     `json:"started_at"`
	LastBeat    time.Time     `json:"last_beat"` // by the clock of the store that holds the registry
}

// ExecutorKey identifies an executor process.
type ExecutorKey struct {
	App, Address, Incarnation string
}

// Key returns e's identity.
func (e Executor) Key() ExecutorKey { return ExecutorKey{e.App, e.Address, e.Incarnation} }

// App is a group of executors that share one name and one secret.
type App struct {
	Name      string    `json:"name"`
	CreatedAt time.Time `json:"created_at"`
}

// Timing of the registry. An executor that has not beaten for DeadAfter is
// taken to be gone: three beats, so that one lost packet or one pause of the
// collector means nothing.
const (
	BeatInterval = time.Second
	DeadAfter    = 3 * time.Second
)
