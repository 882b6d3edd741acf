package scheduler

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// Timing of the view of the executors.
const (
	refreshInterval  = 500 * time.Millisecond
	keysInterval     = time.Second
	snapshotInterval = 2 * time.Second
	// suspectAfter is when an executor that does not beat is asked in person.
	suspectAfter = 1500 * time.Millisecond
	// degradedDeadAfter allows for the age of the snapshot in Postgres.
	degradedDeadAfter = firjob.DeadAfter + 2*snapshotInterval
)

// executors is this server's view of who lives: what the registry says, or
// its snapshot in Postgres while Redis is away, and the beats that came to this
// very replica. An executor is gone when it has not beaten for DeadAfter, when
// nobody listens at its address, or when another incarnation has its place.
//
// Ages are counted from here on the local monotonic clock, so an emptied
// registry kills nobody: the next beats fill it long before DeadAfter.
type executors struct {
	executorsOptions

	mu       sync.Mutex
	live     map[firjob.ExecutorKey]*executor
	apps     map[string][]*executor // the same, by app, sorted by address
	keys     map[string][]byte      // signing keys by app
	keysAt   time.Time
	marks    map[place]firjob.Mark
	marked   int                                    // how often marks were set by this very server
	degraded bool                                   // what the last refresh read
	unsaved  map[firjob.ExecutorKey]firjob.Executor // beats not yet in the snapshot

	routes map[firjob.Route]route
	turns  turns
	memory memory
	ready  map[string][]*executor // scratch of pick, by app
	fit    []*executor            // scratch of pick

	// reading is held while the registry or the marks are read and entered, so
	// that what was read first is entered first.
	reading sync.Mutex
}

// executor is one entry of the view. Its fields are guarded by executors.mu.
type executor struct {
	firjob.Executor
	seen   time.Time            // local instant of the last sign of life
	beaten time.Time            // local instant of the last beat
	heard  time.Time            // local instant from which its silence counts: the last beat, or a change of source
	mute   bool                 // its beats do not arrive, see listen
	sent   int                  // triggers sent since the last beat
	mark   firjob.Mark          // what somebody has set about its address; the zero value: nothing
	counts firjob.ExecutorState // the stricter of its own state and the mark's
	hash   uint64               // of its address
	outbox *outbox
}

// takes reports whether the executor gets anything new at all.
func (e *executor) takes() bool { return e.counts == firjob.ExecutorActive && !e.mute }

// free returns how many more triggers the executor is likely to take.
func (e *executor) free() int { return e.Capacity + e.Queue - e.Running - e.sent }

// executorsOptions is what the view needs.
type executorsOptions struct {
	Store    Store
	Registry Registry
	Sender   Sender
	Queue    *guardedQueue
	Clock    *storeClock
	Gone     func(ctx context.Context, key firjob.ExecutorKey, reason string)
	Troubles *troubles
	Log      *slog.Logger
}

func newExecutors(o executorsOptions) *executors {
	return &executors{
		executorsOptions: o,

		live:    make(map[firjob.ExecutorKey]*executor),
		apps:    make(map[string][]*executor),
		unsaved: make(map[firjob.ExecutorKey]firjob.Executor),
		routes:  routes(),
		turns:   make(turns),
		ready:   make(map[string][]*executor),
	}
}

// seenNow takes a beat that came to this server, and reports whether the
// executor says another state of itself than before. The first beat of a new app
// comes before the app's key was read.
func (x *executors) seenNow(ctx context.Context, e firjob.Executor) (turned bool) {
	if _, known := x.key(e.App); !known {
		x.Troubles.report(ctx, "read the apps' keys", x.refreshKeys(ctx, 0))
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	before := firjob.ExecutorActive
	if have, known := x.live[e.Key()]; known {
		before = have.State
	}
	x.put(e, x.Clock.local())
	x.unsaved[e.Key()] = e
	return e.State != before
}

// put enters a sign of life; mu is held.
func (x *executors) put(e firjob.Executor, seen time.Time) {
	have, ok := x.live[e.Key()]
	if !ok {
		have = &executor{outbox: &outbox{to: e}, hash: hashOf(e.Address), mark: x.marks[place{e.App, e.Address}]}
		x.live[e.Key()] = have
		at, _ := slices.BinarySearchFunc(x.apps[e.App], e.Address, byAddress)
		x.apps[e.App] = slices.Insert(x.apps[e.App], at, have)
	}
	if !ok || seen.After(have.beaten) {
		if e.LastBeat.After(have.LastBeat) || e.Running != have.Running {
			have.sent = 0
		}
		have.Executor, have.beaten, have.mute = e, seen, false
		have.seen, have.heard = later(have.seen, seen), later(have.heard, seen)
		have.count()
	}
}

// byAddress compares the address of an executor of x.apps.
func byAddress(e *executor, address string) int { return cmp.Compare(e.Address, address) }

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// refresh reads the registry, finds out who is mute, asks those in doubt, and
// reports who is gone.
func (x *executors) refresh(ctx context.Context) {
	x.Troubles.report(ctx, "read the apps' keys", x.refreshKeys(ctx, keysInterval))
	x.refreshMarks(ctx)
	began := x.Clock.local()
	if _, degraded, ok := x.reread(ctx, x.appNames()); ok {
		x.listen(ctx, began, degraded)
		x.resolveDoubts(ctx, x.doubtful(), degraded)
	}
}

// reread reads the executors of apps and enters them. It returns what it read,
// whether that came from the snapshot, and whether it went well.
func (x *executors) reread(ctx context.Context, apps []string) (list []ports.Alive, degraded, ok bool) {
	x.reading.Lock()
	defer x.reading.Unlock()
	list, degraded, err := x.read(ctx, apps)
	if !x.Troubles.report(ctx, "read the executors", err) {
		return nil, degraded, false
	}
	x.merge(list, degraded)
	return list, degraded, true
}

// refreshKeys reads the apps' keys again if what is known is older than maxAge.
func (x *executors) refreshKeys(ctx context.Context, maxAge time.Duration) error {
	x.mu.Lock()
	fresh := x.keys != nil && x.Clock.local().Sub(x.keysAt) < maxAge
	x.mu.Unlock()
	if fresh {
		return nil
	}
	keys, err := x.Store.SigningKeys(ctx)
	if err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.keys, x.keysAt = keys, x.Clock.local()
	return nil
}

// read returns the executors of apps that Redis knows or, while it is away, those
// of all apps that Postgres knows.
func (x *executors) read(ctx context.Context, apps []string) (list []ports.Alive, degraded bool, err error) {
	if !x.Queue.degraded.Load() {
		list, err = x.Registry.Executors(ctx, apps, firjob.DeadAfter)
		if err == nil {
			return list, false, nil
		}
		x.Queue.failed(ctx, "executors", err)
	}
	now, err := x.Store.Now(ctx)
	if err != nil {
		return nil, true, err
	}
	saved, err := x.Store.Executors(ctx, degradedDeadAfter)
	for _, e := range saved {
		list = append(list, ports.Alive{Executor: e, Age: now.Sub(e.LastBeat)})
	}
	return list, true, err
}

func (x *executors) appNames() []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	names := make([]string, 0, len(x.keys))
	for name := range x.keys {
		names = append(names, name)
	}
	return names
}

// merge enters what was read. On a change of source everybody is taken to have
// been seen just now, since ages of the two sources do not compare.
func (x *executors) merge(list []ports.Alive, degraded bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	now := x.Clock.local()
	if degraded != x.degraded {
		x.degraded = degraded
		for _, e := range x.live {
			e.seen = now
			if !e.mute {
				e.heard = now
			}
		}
	}
	for _, a := range list {
		x.put(a.Executor, now.Add(-a.Age))
	}
}

// resolveDoubts asks executors that are in doubt whether they live, and removes the dead
// ones.
func (x *executors) resolveDoubts(ctx context.Context, doubtful []doubt, degraded bool) {
	deadAfter := firjob.DeadAfter
	if degraded {
		deadAfter = degradedDeadAfter
	}
	var wait sync.WaitGroup
	for _, e := range doubtful {
		wait.Go(func() {
			if reason := x.verdict(ctx, e, deadAfter); reason != "" && ctx.Err() == nil {
				x.remove(ctx, e.Key(), reason)
			}
		})
	}
	wait.Wait()
}

// doubt is an executor that has not beaten for a while or shares its address
// with another incarnation.
type doubt struct {
	firjob.Executor
	silent time.Duration
}

func (x *executors) doubtful() []doubt {
	x.mu.Lock()
	defer x.mu.Unlock()
	var list []doubt
	now := x.Clock.local()
	for _, app := range x.apps {
		for i, e := range app { // by address, so that those that share one are neighbours
			shares := i > 0 && app[i-1].Address == e.Address || i+1 < len(app) && app[i+1].Address == e.Address
			if silent := now.Sub(e.seen); silent > suspectAfter || shares {
				list = append(list, doubt{e.Executor, silent})
			}
		}
	}
	return list
}

// verdict says why the executor counts as dead, "" if it lives or that is unknown.
func (x *executors) verdict(ctx context.Context, e doubt, deadAfter time.Duration) string {
	key, known := x.key(e.App)
	if !known {
		return ""
	}
	err := x.Sender.Probe(ctx, e.Executor, key, x.Clock.Now())
	if err == nil {
		// It lives but its beats do not arrive. It keeps what it holds until the
		// leases end; listen decides whether it gets anything new.
		x.mu.Lock()
		if have, ok := x.live[e.Key()]; ok {
			have.seen = x.Clock.local()
		}
		x.mu.Unlock()
		return ""
	}
	if refused := new(ports.Refused); errors.As(err, &refused) {
		return "the executor is gone: " + refused.Error()
	}
	if e.silent < deadAfter {
		return ""
	}
	return "the executor has not beaten for " + e.silent.Round(100*time.Millisecond).String()
}

// remove forgets an executor; the attempts that it held are lost.
func (x *executors) remove(ctx context.Context, key firjob.ExecutorKey, reason string) {
	x.mu.Lock()
	_, known := x.live[key]
	delete(x.live, key)
	delete(x.unsaved, key)
	x.apps[key.App] = slices.DeleteFunc(x.apps[key.App], func(e *executor) bool { return e.Key() == key })
	x.mu.Unlock()
	if known {
		x.Log.InfoContext(ctx, "executor gone", "app", key.App, "executor", key.Address, "reason", reason)
		x.Sender.Forget(key)
		x.Gone(ctx, key, reason)
	}
}

// save writes the beats of the last moments to the snapshot in Postgres.
func (x *executors) save(ctx context.Context) {
	x.mu.Lock()
	batch := make([]firjob.Executor, 0, len(x.unsaved))
	for _, e := range x.unsaved {
		batch = append(batch, e)
	}
	clear(x.unsaved)
	x.mu.Unlock()
	if len(batch) == 0 {
		return
	}
	x.Troubles.report(ctx, "write the snapshot of the executors", x.Store.SaveExecutors(ctx, batch))
}

// beatenSince reports whether every live executor has beaten since the local
// instant, as far as this server knows.
func (x *executors) beatenSince(since time.Time) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, e := range x.live {
		if !e.beaten.After(since) {
			return false
		}
	}
	return true
}

// list returns the live executors of an app.
func (x *executors) list(app string) []firjob.Executor {
	x.mu.Lock()
	defer x.mu.Unlock()
	list := make([]firjob.Executor, 0, len(x.apps[app]))
	for _, e := range x.apps[app] {
		list = append(list, e.Executor)
	}
	return list
}

// key returns the signing key of an app.
func (x *executors) key(app string) ([]byte, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	key, ok := x.keys[app]
	return key, ok
}
