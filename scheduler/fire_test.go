package scheduler

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// orphans is a queue with nothing for server a, and a store with executions that
// nobody has put into it.
type orphans struct {
	Store
	Queue

	mu      sync.Mutex
	looked  []time.Duration // when the shards of others were looked at, since the start
	started time.Time
	overdue []firjob.Due
	most    int // of them, that were asked for
	claimed []firjob.ExecutionID
	at      time.Time // of the latest claim
}

func (o *orphans) Wakes(context.Context) <-chan ports.Wake { return make(chan ports.Wake) }

func (o *orphans) Claim(_ context.Context, _ []int, _ int, lead, _ time.Duration) (ports.Batch, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if lead < 0 {
		o.looked = append(o.looked, time.Since(o.started))
	}
	return ports.Batch{Next: -1}, nil
}

func (o *orphans) Overdue(_ context.Context, _ time.Duration, limit int) ([]firjob.Due, error) {
	o.most = limit
	return o.overdue, nil
}

// orphanStore keeps the two Claim methods apart.
type orphanStore struct{ *orphans }

func (o orphanStore) Claim(_ context.Context, ids []firjob.ExecutionID, _ ports.ClaimBy) (ports.ClaimResult, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.claimed, o.at = append(o.claimed, ids...), time.Now()
	return ports.ClaimResult{}, nil
}

func (o *orphans) Ack(context.Context, []firjob.ExecutionID) error { return nil }
func (o *orphans) Return(context.Context, []firjob.Due) error      { return nil }

func newOrphans(live ...string) (*orphans, *fire) {
	o := &orphans{started: time.Now()}
	m, log := newMetrics(nil), slog.New(slog.DiscardHandler)
	clock := newStoreClock(time.Now)
	clock.Observe(time.Now())
	p := newPeers("a", 16)
	p.share(live)
	p.gained = make(chan struct{}, 1)
	return o, &fire{store: orphanStore{o}, queue: &guardedQueue{Queue: o, metrics: m, log: log}, clock: clock, peers: p, replica: "a",
		lease: 10 * time.Second, enter: func(context.Context, []*flight) {}, follow: func(context.Context, ports.Followed) {},
		metrics: m, troubles: newTroubles(log, time.Now), repairs: newRepairs(m.repairs, log, time.Now), slots: make(chan struct{}, committers)}
}

// A server with nothing to do looks at the shards of others as often as one that
// has: what is overdue there may be that of one that has died.
func TestHelpComesInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o, f := newOrphans("a", "b")
		ctx, cancel := context.WithTimeout(t.Context(), 5*helpEvery+helpEvery/2)
		defer cancel()
		f.run(ctx)
		want := []time.Duration{0, helpEvery, 2 * helpEvery, 3 * helpEvery, 4 * helpEvery, 5 * helpEvery}
		if diff := cmp.Diff(want, o.looked); diff != "" {
			t.Errorf("looks at the shards of others (-want +got):\n%s", diff)
		}
	})
}

// What a server had taken from the queue and not committed when it died is claimed
// by those who get its shards, once all of that is overdue.
func TestWhatADeadReplicaTookIsInherited(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o, f := newOrphans("a", "b")
		var want []firjob.ExecutionID
		for job := range firjob.JobID(64) {
			d := firjob.Due{ID: firjob.Fire(job+1, time.Now()), At: time.Now()}
			o.overdue = append(o.overdue, d)
			want = append(want, d.ID)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var loop sync.WaitGroup
		loop.Go(func() { f.run(ctx) })
		time.Sleep(750 * time.Millisecond)
		if len(o.claimed) != 0 {
			t.Errorf("while all live %d executions of others are claimed", len(o.claimed))
		}
		f.peers.share([]string{"a"})
		died := time.Now()
		time.Sleep(helpAfter)
		synctest.Wait()
		if diff := cmp.Diff(want, o.claimed); diff != "" || o.at.Sub(died) != helpAfter {
			t.Errorf("claimed %v after the end of b (-want +got):\n%s", o.at.Sub(died), diff)
		}
		cancel()
		loop.Wait()
		f.commits.Wait()
	})
}

// What is inherited has room only where other claims have: this server could not
// send it, and another might.
func TestInheritanceKeepsToTheRoomForFlights(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o, f := newOrphans("a")
		o.overdue = []firjob.Due{{ID: firjob.Fire(1, time.Now()), At: time.Now()}}
		f.inheritAt = time.Now()
		f.flights.Store(maxFlights)
		f.inherit(t.Context())
		f.commits.Wait()
		if len(o.claimed) != 0 {
			t.Errorf("with no room for flights %d are claimed", len(o.claimed))
		}
		f.flights.Store(maxFlights - 1)
		f.inherit(t.Context())
		f.commits.Wait()
		if len(o.claimed) != 1 || o.most != 1 {
			t.Errorf("with room for one flight %d of at most %d are claimed, want 1 of 1", len(o.claimed), o.most)
		}
		if n := f.repairs.counts[repairOverdue]; n != 1 {
			t.Errorf("%d repairs are counted, want 1: what others have left is to be seen", n)
		}
	})
}

// Wakes during a pause bring its end forward to the earliest of them. None puts it
// off, and none makes it end before anything is due.
func TestWakesShortenAPauseToTheEarliest(t *testing.T) {
	t.Parallel()
	type wake struct{ after, due time.Duration } // both since the pause began
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	for name, c := range map[string]struct {
		pause time.Duration
		wakes []wake
		want  time.Duration
	}{
		"none":                     {ms(1000), nil, ms(1000)},
		"one":                      {ms(1000), []wake{{ms(100), ms(600)}}, ms(350)},
		"one for later":            {ms(500), []wake{{ms(100), ms(5000)}}, ms(500)},
		"a later one after it":     {ms(1000), []wake{{ms(100), ms(850)}, {ms(200), ms(2000)}}, ms(600)},
		"an earlier one after it":  {ms(1000), []wake{{ms(100), ms(850)}, {ms(200), ms(700)}}, ms(450)},
		"many for later":           {ms(1000), []wake{{ms(100), ms(5000)}, {ms(300), ms(5000)}, {ms(600), ms(5000)}}, ms(1000)},
		"for later, then for soon": {ms(1000), []wake{{ms(300), ms(5000)}, {ms(500), ms(5000)}, {ms(550), ms(850)}}, ms(600)},
		"due at once, twice":       {ms(1000), []wake{{ms(100), 0}, {ms(101), 0}}, ms(100) + wakeBreath},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				_, f := newOrphans("a")
				began := time.Now()
				wakes := make(chan ports.Wake, len(c.wakes))
				for _, w := range c.wakes {
					time.AfterFunc(w.after, func() { wakes <- ports.Wake{At: began.Add(w.due)} })
				}
				f.pause(t.Context(), c.pause, wakes)
				// The estimate of the store's clock lags behind by its drift.
				if got := time.Since(began); got < c.want || got > c.want+time.Millisecond {
					t.Errorf("the pause lasts %v, want %v", got, c.want)
				}
			})
		})
	}
}

// What the store gives only later goes back to the queue for its instant, put off by
// what the queue's clock is ahead, not by the time that is left until then.
func TestEarlyExecutionsAreDueAgainAtTheirInstant(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ ahead, due, want time.Duration }{
		"a wait and equal clocks":           {0, time.Hour, time.Hour},
		"a wait and a queue ahead":          {3 * time.Second, time.Hour, time.Hour + 3*time.Second},
		"a wait and a queue behind":         {-3 * time.Second, time.Hour, time.Hour},
		"only the skew":                     {3 * time.Second, 3*time.Second + lead, 6*time.Second + lead},
		"a place is given at the instant":   {0, 100 * time.Millisecond, 100*time.Millisecond + lead},
		"the same with a queue that is off": {time.Second, 100 * time.Millisecond, time.Second + 100*time.Millisecond + lead},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				_, f := newOrphans("a")
				now := time.Now()
				f.compare(ports.Batch{Now: now.Add(c.ahead)})
				f.compare(ports.Batch{}) // nobody answered
				got := f.corrected([]firjob.Due{{At: now.Add(c.due)}})
				if wait := got[0].At.Sub(now); wait != c.want {
					t.Errorf("due again after %v, want %v", wait, c.want)
				}
			})
		})
	}
}
