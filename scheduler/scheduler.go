package scheduler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/groupcommit"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/scheduler/outbound"
)

// Options configures a Scheduler. Store, Queue, Registry, Sender, Replica and
// Shards must be given.
type Options struct {
	Store    Store
	Queue    Queue
	Registry Registry
	Sender   Sender
	Caller   Caller // of HTTP jobs; by default one that reaches what is public

	Replica      string        // name of this process, unique in the cluster and over time
	Shards       int           // slices of the delay queue, the same on every server
	ScanInterval time.Duration // between scans for jobs that are soon due; 10 s by default
	Horizon      time.Duration // how far ahead fires are recorded; 60 s by default, at least twice ScanInterval
	LeaseTTL     time.Duration // how long an attempt is held without a beat; 10 s by default, at least 5 s
	Retention    time.Duration // how long executions are kept; 30 days by default
	DrainTimeout time.Duration // how long Run waits for sends at the end; 10 s by default
	LogLimit     int           // bytes that are kept of one execution's log; firjob.MaxLog by default

	// Local is the clock that durations are measured on; time.Now by default.
	// Its wall reading decides nothing.
	Local   func() time.Time
	Metrics prometheus.Registerer // nil: not exported

	// What the gauges that must read zero are computed from; without them there are none.
	HealthStore HealthStore
	HealthQueue HealthQueue
	Log         *slog.Logger
}

// withDefaults fills in what is zero and checks the rest.
func (o Options) withDefaults() (Options, error) {
	set := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	set(&o.ScanInterval, 10*time.Second)
	set(&o.Horizon, time.Minute)
	set(&o.LeaseTTL, 10*time.Second)
	set(&o.Retention, 30*24*time.Hour)
	set(&o.DrainTimeout, 10*time.Second)
	if o.LogLimit == 0 {
		o.LogLimit = firjob.MaxLog
	}
	if o.Caller == nil {
		o.Caller = outbound.New(outbound.Options{})
	}
	if o.Local == nil {
		o.Local = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	switch {
	case o.Store == nil, o.Queue == nil, o.Registry == nil, o.Sender == nil:
		return o, errors.New("the scheduler needs a store, a queue, a registry and a sender")
	case (o.HealthStore == nil) != (o.HealthQueue == nil):
		return o, errHalfHealth
	case o.Replica == "":
		return o, errors.New("the server needs a name")
	case o.Shards < 1 || o.Shards > 1024:
		return o, fmt.Errorf("%d shards: want 1 to 1024", o.Shards)
	case o.Horizon < 2*o.ScanInterval:
		return o, fmt.Errorf("the horizon (%v) must be at least twice the scan interval (%v), or fires are found "+
			"after they were due", o.Horizon, o.ScanInterval)
	case o.LeaseTTL < 5*firjob.BeatInterval:
		return o, fmt.Errorf("the lease (%v) must be at least %v: executors beat every %v", o.LeaseTTL,
			5*firjob.BeatInterval, firjob.BeatInterval)
	case o.Retention < 24*time.Hour:
		return o, fmt.Errorf("the retention (%v) must be at least one day: whole days are dropped", o.Retention)
	}
	return o, nil
}

// Scheduler is one server's scheduling. Its methods are safe for concurrent
// use and work from New on, also while and after Run drains, so that results
// can be taken to the last moment.
type Scheduler struct {
	options  Options
	store    Store
	registry Registry
	sender   Sender
	log      *slog.Logger
	metrics  *metrics
	clock    *storeClock
	troubles *troubles

	queue     *guardedQueue
	planner   *planner
	peers     *peers
	executors *executors
	hold      *hold
	admission *admission
	fire      *fire
	sending   *sending
	sent      *sentLog
	index     *index
	sweep     *sweep
	repairs   *repairs
	health    *health // nil: not asked for
	backfills *backfills
	finishes  *groupcommit.Group[ports.FinishItem, firjob.Receipt]
	holds     *groupcommit.Group[ports.Held, heldAnswer]
	changes   *groupcommit.Group[firjob.JobID, struct{}]

	announcements *groupcommit.Group[firjob.Due, struct{}]

	background background // what follows from commits
	draining   atomic.Bool
}

// New returns a Scheduler that does nothing by itself until Run.
func New(o Options) (*Scheduler, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	log := o.Log.With("component", "scheduler")
	s := &Scheduler{
		options: o, store: o.Store, registry: o.Registry, sender: o.Sender, log: log,
		metrics:  newMetrics(o.Metrics),
		clock:    newStoreClock(o.Local),
		troubles: newTroubles(log, o.Local),
		sent:     newSentLog(),
	}
	s.repairs = newRepairs(s.metrics.repairs, log, o.Local)
	s.queue = &guardedQueue{Queue: o.Queue, metrics: s.metrics, log: log}
	s.makePlanning()
	s.makePeers()
	s.makeSending()
	s.makeClaiming()
	s.makeSweep()
	s.makeCommits()
	return s, nil
}

// makePlanning makes the parts that record fires and announce them.
func (s *Scheduler) makePlanning() {
	s.planner = &planner{store: s.store, queue: s.queue, clock: s.clock, horizon: s.options.Horizon,
		metrics: s.metrics, troubles: s.troubles, repairs: s.repairs}
	s.index = &index{store: s.store, queue: s.queue, horizon: s.options.Horizon, metrics: s.metrics, log: s.log}
	s.backfills = newBackfills(s.store, s.follow, s.troubles)
}

// makePeers makes the parts that know the other servers and the executors.
func (s *Scheduler) makePeers() {
	s.executors = newExecutors(executorsOptions{Store: s.store, Registry: s.registry, Sender: s.sender,
		Queue: s.queue, Clock: s.clock, Gone: s.executorGone, Troubles: s.troubles, Log: s.log})
	s.peers = &peers{registry: s.registry, store: s.store, queue: s.queue, replica: s.options.Replica,
		total: s.options.Shards, gone: s.replicaGone, ask: s.askExecutors, clock: s.clock,
		named: s.executors.beatenSince, background: &s.background, log: s.log, local: s.options.Local,
		gained: newWake()}
	s.peers.share(nil)
}

// makeSending makes the parts that keep flights until they are due and send them.
func (s *Scheduler) makeSending() {
	s.hold = newHold(s.clock)
	s.sending = &sending{store: s.store, queue: s.queue, sender: s.sender, executors: s.executors, clock: s.clock,
		hold: s.hold, sent: s.sent, lose: s.lose, provenAlive: s.peers.provenAlive,
		handed: func(n int) { s.fire.flights.Add(-int64(n)) },
		follow: s.follow, metrics: s.metrics, log: s.log, spreads: make(chan struct{}, spreadsAtATime)}
	s.sending.calls = &calls{caller: s.options.Caller, slots: newCallSlots(callsAtATime, callsPerHost),
		replica: s.options.Replica, lease: s.options.LeaseTTL, clock: s.clock, hold: s.holdConfirmed,
		finish: s.Finish, lose: s.lose, log: s.log}
}

// makeClaiming makes the parts that claim what is due and let in what waits.
func (s *Scheduler) makeClaiming() {
	ahead := &ahead{registry: s.registry, queue: s.queue, executors: s.executors, hold: s.hold,
		background: &s.background}
	s.fire = &fire{store: s.store, queue: s.queue, clock: s.clock, peers: s.peers, replica: s.options.Replica,
		lease: s.options.LeaseTTL, enter: ahead.enter, follow: s.follow, metrics: s.metrics,
		troubles: s.troubles, repairs: s.repairs, slots: make(chan struct{}, committers)}
	s.admission = newAdmission(s.store, s.follow, s.troubles)
}

// makeSweep makes the parts that look for what is stuck.
func (s *Scheduler) makeSweep() {
	parts := sweepParts{store: s.store, queue: s.queue, clock: s.clock, peers: s.peers, fire: s.fire, lost: s.lost,
		lease: s.options.LeaseTTL, metrics: s.metrics, repairs: s.repairs, troubles: s.troubles}
	if s.options.HealthQueue != nil {
		parts.removed = s.options.HealthQueue.Removed
	}
	s.sweep = newSweep(parts)
	s.watch(s.options)
}

// makeCommits makes the groups that put many small changes into few transactions.
func (s *Scheduler) makeCommits() {
	s.finishes = groupcommit.New(
		groupcommit.Sizes{Limit: finishBatch, Calls: finishers, Enough: finishEnough, Gap: finishGap}, s.finish)
	s.holds = groupcommit.New(groupcommit.Sizes{Limit: holdBatch, Calls: 1}, s.renew)
	s.changes = groupcommit.New(groupcommit.Sizes{Limit: firjob.MaxBatch, Calls: planners}, s.planChanged)
	s.announcements = groupcommit.New(groupcommit.Sizes{Limit: firjob.MaxBatch, Calls: announcers}, s.announce)
}

// Run schedules until ctx ends, then stops in order: it claims nothing more,
// gives back what was never sent, and waits for the sends under way, at most
// DrainTimeout. It returns an error only if it could not begin.
func (s *Scheduler) Run(ctx context.Context) error {
	if err := s.readClock(ctx); err != nil {
		return fmt.Errorf("read the store's clock: %w", err)
	}
	s.index.pass(ctx)
	s.peers.pass(ctx)
	s.executors.refresh(ctx)

	// Sends outlive ctx: a request under way is not cut off.
	sendCtx, cancelSends := context.WithCancel(context.WithoutCancel(ctx))
	defer cancelSends()
	// Nor is this server taken to be gone while it waits for them.
	signOff := s.signOn(ctx)
	var loops sync.WaitGroup
	loops.Go(func() {
		every(ctx, s.options.ScanInterval, func(ctx context.Context) { s.planner.pass(ctx, s.options.Horizon) })
	})
	loops.Go(func() { every(ctx, probeInterval/2, s.index.pass) })
	loops.Go(func() { every(ctx, refreshInterval, s.executors.refresh) })
	loops.Go(func() { s.executors.obey(ctx) })
	loops.Go(func() { every(ctx, snapshotInterval, s.executors.save) })
	loops.Go(func() { every(ctx, sweepInterval, s.sweep.pass) })
	if s.health != nil {
		loops.Go(func() { every(ctx, healthInterval, s.health.pass) })
	}
	// Jobs whose next fire was decided by a server that died before it could
	// plan them are due before the next scan.
	loops.Go(func() {
		every(ctx, sweepInterval, func(ctx context.Context) { s.planner.pass(ctx, 2*sweepInterval) })
	})
	loops.Go(func() { every(ctx, sweepInterval, s.backfills.sweep) })
	loops.Go(func() { s.backfills.run(ctx) })
	loops.Go(func() { every(ctx, time.Hour, s.maintain) })
	loops.Go(func() { s.admission.run(ctx) })
	loops.Go(func() { s.fire.run(ctx) })
	loops.Go(func() { s.hold.run(ctx, func(due []*flight) { s.sending.release(sendCtx, due) }) })
	loops.Wait()
	s.fire.commits.Wait() // their flights are given back below

	s.draining.Store(true)
	s.drain(sendCtx, cancelSends, signOff)
	return nil
}

// signOn reads the clock and beats, so that the peers know that this server
// lives, until signOff.
func (s *Scheduler) signOn(ctx context.Context) (signOff func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var loops sync.WaitGroup
	loops.Go(func() { alone(ctx, clockInterval, s.tickClock) })
	loops.Go(func() { paced(ctx, s.peers.pass) })
	s.registry.HoldLine(ctx, s.options.Replica)
	return func() {
		cancel()
		loops.Wait()
	}
}

// drain gives back what was never sent, waits for the rest and signs off.
func (s *Scheduler) drain(ctx context.Context, cancelSends, signOff func()) {
	timer := time.AfterFunc(s.options.DrainTimeout, cancelSends)
	defer timer.Stop()
	left := s.hold.empty()
	var unsent []firjob.AttemptRef
	for _, f := range left {
		if f.pinned == nil {
			unsent = append(unsent, f.ref())
		}
	}
	released := len(unsent) == 0 ||
		s.sending.unsend(ctx, unsent, 0, "server "+s.options.Replica+" stopped before it could send it")
	s.sending.posts.Wait()
	signOff()
	s.log.InfoContext(ctx, "scheduler stopped", "released", len(unsent))
	if !released || len(unsent) < len(left) || len(s.hold.empty()) > 0 {
		return // the others give up what this server still has claimed, once it is gone
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := s.registry.ForgetReplica(ctx, s.options.Replica); err != nil {
		s.log.InfoContext(ctx, "this server could not sign off; the others will notice", "error", err)
	}
}

// Close waits for what follows from commits. It is called once Run has returned
// and no more results can come; the stores are closed after it.
func (s *Scheduler) Close() {
	s.finishes.Close()
	s.holds.Close()
	s.changes.Close()
	s.announcements.Close()
	s.background.close()
}

// clockInterval is the time between readings of the store's clock.
const clockInterval = 500 * time.Millisecond

func (s *Scheduler) readClock(ctx context.Context) error {
	now, err := s.store.Now(ctx)
	if err != nil {
		return err
	}
	s.clock.Observe(now)
	return nil
}

func (s *Scheduler) tickClock(ctx context.Context) {
	s.troubles.report(ctx, "read the store's clock", s.readClock(ctx))
}

// partitionsAhead is for how many days to come executions have a place.
const partitionsAhead = 3

func (s *Scheduler) maintain(ctx context.Context) {
	if err := s.store.MaintainPartitions(ctx, partitionsAhead, s.options.Retention); err != nil && ctx.Err() == nil {
		s.log.WarnContext(ctx, "partitions cannot be maintained; trying again in an hour", "error", err)
	}
}
