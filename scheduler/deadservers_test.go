package scheduler

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// mourner is server a, which beats well, in the company of b, which does so no more.
type mourner struct {
	*peers
	registry *lastBeats
	store    *lastClaims
}

// lastBeats is a registry of which b beats no more.
type lastBeats struct {
	Registry
	latest    time.Time                 // of b; zero: long ago
	ended     bool                      // the line of b
	delay     func(n int) time.Duration // of the n-th beat of a, before Redis takes it
	beats     int
	forgotten atomic.Bool
}

func (r *lastBeats) BeatReplica(_ context.Context, _ string, maxAge, endedAge time.Duration) (live, gone, ended []string, err error) {
	r.beats++
	if r.delay != nil {
		time.Sleep(r.delay(r.beats))
	}
	switch age := time.Since(r.latest); {
	case age > maxAge:
		return []string{"a"}, []string{"b"}, nil, nil
	case age > endedAge && r.ended:
		return []string{"a"}, nil, []string{"b"}, nil
	}
	return []string{"a", "b"}, nil, nil, nil
}

func (r *lastBeats) ForgetReplica(context.Context, string) error {
	r.forgotten.Store(true)
	return nil
}

// lastClaims is a store in which b has left n claims.
type lastClaims struct {
	Store
	n       atomic.Int32
	session func() (bool, error) // of b
}

func (s *lastClaims) InQuestion(context.Context, string, time.Time) (n int, apps []string, err error) {
	if n := int(s.n.Load()); n > 0 {
		return n, []string{"app"}, nil
	}
	return 0, nil, nil
}

func (s *lastClaims) HasSession(context.Context, string) (bool, error) { return s.session() }

// newMourner returns a mourner of b, whose executors say what they hold when ask
// returns true.
func newMourner(ask func() bool) *mourner {
	m := &mourner{registry: new(lastBeats), store: &lastClaims{session: func() (bool, error) { return false, nil }}}
	m.store.n.Store(1)
	p := newPeers("a", 1)
	p.registry, p.store, p.queue, p.log, p.background = m.registry, m.store, new(guardedQueue), slog.New(slog.DiscardHandler), new(background)
	p.clock = newStoreClock(time.Now)
	p.clock.Observe(time.Now())
	p.gone = func(context.Context, string, time.Time) error { m.store.n.Store(0); return nil }
	p.ask = func(context.Context, []string) bool { return ask() }
	p.named = func(time.Time) bool { return false }
	m.peers = p
	return m
}

// beatFor lets the server beat for d.
func (m *mourner) beatFor(ctx context.Context, d time.Duration) {
	for range d / replicaBeat {
		m.pass(ctx)
		time.Sleep(replicaBeat)
		synctest.Wait()
	}
}

// lives lets both beat until a judges others, and b for the last time.
func (m *mourner) lives(ctx context.Context) {
	m.registry.latest = time.Now().Add(time.Hour)
	m.beatFor(ctx, settled+replicaBeat)
	m.registry.latest = time.Now()
}

// settled is how long a server beats before it judges others.
const settled = replicaDeadAfter + 2*replicaBeat

// What was known of a server before Redis was away does not count after that.
func TestAnAbsenceDoesNotOutlastAnOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMourner(func() bool { return false })
		m.beatFor(t.Context(), settled+replicaBeat)
		if len(m.missing) != 1 || m.registry.forgotten.Load() {
			t.Fatalf("after %v of beats %v is missing, forgotten %v; want b, missed and not given up", settled, m.missing, m.registry.forgotten.Load())
		}
		m.queue.degraded.Store(true)
		m.beatFor(t.Context(), time.Minute)
		m.queue.degraded.Store(false)
		m.beatFor(t.Context(), settled+replicaBeat)
		if m.registry.forgotten.Load() {
			t.Error("a replica that was missed before an outage is given up at once after it")
		}
		m.beatFor(t.Context(), namingPatience+2*replicaBeat)
		if !m.registry.forgotten.Load() {
			t.Error("it is never given up")
		}
	})
}

// Executors that say what they hold are not waited for, and those that hesitate do
// not hold up the beats, or the others would take this server to be gone, too.
func TestAReplicaIsBuriedOnceExecutorsHaveSaidWhatTheyHold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const hesitation = 2 * time.Second
		m := newMourner(func() bool { time.Sleep(hesitation); return true })
		first := time.Now().Add(settled)
		giveUp := m.gone
		m.gone = func(ctx context.Context, replica string, before time.Time) error {
			if off := before.Sub(first); replica != "b" || off.Abs() > replicaBeat {
				t.Errorf("claims of %s before %v are given up; want those of b before it was first missed, at %v", replica, before, first)
			}
			return giveUp(ctx, replica, before)
		}
		m.beatFor(t.Context(), settled+settlingTime+2*replicaBeat)
		beats := m.registry.beats
		m.beatFor(t.Context(), hesitation+replicaBeat)
		synctest.Wait()
		if got, want := m.registry.beats-beats, int((hesitation+replicaBeat)/replicaBeat); got != want {
			t.Errorf("%d beats while the executors were asked, want %d", got, want)
		}
		if !m.registry.forgotten.Load() {
			t.Error("the executors have said what they hold and the replica is not given up")
		}
		m.background.close()
	})
}

// A server whose line has ended counts as dead at once only if it has no session
// with the store any more: else it may be cut off from Redis alone, and its silence
// is what counts, from its beginning.
func TestALineThatEndsDoesNotMakeAConnectedReplicaDead(t *testing.T) {
	t.Parallel()
	none := func() (bool, error) { return false, nil }
	some := func() (bool, error) { return true, nil }
	away := func() (bool, error) { return false, errors.New("away") }
	const soon = replicaEndedAfter + settlingTime
	const late = replicaDeadAfter + settlingTime
	for name, tt := range map[string]struct {
		ended   bool
		session func() (bool, error)
		want    time.Duration // from its latest beat until executors are asked, or up to three looks more
	}{
		"killed":                      {true, none, soon},
		"cut off from Redis":          {true, some, late},
		"the store does not say":      {true, away, late},
		"its line is held":            {false, none, late},
		"killed as the store is busy": {true, busyFor(time.Second), replicaEndedAfter + time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var asked time.Time
				m := newMourner(func() bool { asked = time.Now(); return true })
				m.store.session = tt.session
				m.registry.ended = tt.ended
				m.lives(t.Context())
				died := m.registry.latest
				for asked.IsZero() && time.Since(died) < time.Minute {
					m.beatFor(t.Context(), replicaBeat)
				}
				if after := asked.Sub(died); after < tt.want || after > tt.want+3*replicaBeat {
					t.Errorf("executors are asked %v after its latest beat, want %v or a little later", after, tt.want)
				}
				m.background.close()
			})
		})
	}
}

// What a server has claimed and sent while its sessions spoke for it is missed from
// their end on: an absence from before it would spare its last claims, and leave its
// last triggers no time for their way.
func TestAnAbsenceBeginsWhenTheSessionsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var asked, connected, before time.Time
		m := newMourner(func() bool { asked = time.Now(); return true })
		m.gone = func(_ context.Context, _ string, b time.Time) error { before = b; return nil }
		m.registry.ended = true
		m.lives(t.Context())
		end := time.Now().Add(2 * time.Second)
		m.store.session = func() (bool, error) {
			has := time.Now().Before(end)
			if has {
				connected = time.Now()
			}
			return has, nil
		}
		for before.IsZero() && time.Since(end) < time.Minute {
			m.beatFor(t.Context(), replicaBeat)
		}
		if connected.IsZero() || !before.After(connected) || asked.Sub(connected) < settlingTime {
			t.Errorf("a replica that was connected at %v: executors are asked at %v, and claims before %v given up; want that later, and %v before the question",
				connected, asked, before, settlingTime)
		}
		m.background.close()
	})
}

// busyFor says nothing for d from its first question on, then that there is none.
func busyFor(d time.Duration) func() (bool, error) {
	var since time.Time
	return func() (bool, error) {
		if since.IsZero() {
			since = time.Now()
		}
		if time.Since(since) < d {
			return false, errors.New("busy")
		}
		return false, nil
	}
}

// However slow a look is on its way to Redis, what the missed server sends without
// asking the store has namingTime to arrive before executors are asked.
func TestWhatIsSentWithoutAskingArrivesBeforeExecutorsAreAsked(t *testing.T) {
	t.Parallel()
	for _, delay := range []time.Duration{0, 100 * time.Millisecond, 200 * time.Millisecond, 240 * time.Millisecond} {
		t.Run(delay.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var asked time.Time
				m := newMourner(func() bool { asked = time.Now(); return true })
				m.registry.ended = true
				m.lives(t.Context())
				// The first look that misses it comes to Redis right when it can.
				m.registry.latest = time.Now().Add(replicaBeat + delay - replicaEndedAfter - time.Nanosecond)
				first := m.registry.beats + 2
				m.registry.delay = func(n int) time.Duration {
					if n == first {
						return delay
					}
					return 0
				}
				b := newPeers("b", 1)
				b.noted(m.registry.latest.Add(-replicaBeat))
				b.beat, b.proven = m.registry.latest, time.Time{} // as if it were well
				died := m.registry.latest
				for asked.IsZero() && time.Since(died) < time.Minute {
					m.beatFor(t.Context(), replicaBeat)
				}
				m.background.close()
				last := died.Add(proofOfLife) // the last instant at which b trusts itself
				b.local = func() time.Time { return last.Add(-1) }
				if !b.provenAlive(died) {
					t.Fatal("the replica does not trust itself as long as the test believes")
				}
				if left := asked.Sub(last); left < namingTime {
					t.Errorf("executors are asked %v after b trusted itself for the last time, want %v or more", left, namingTime)
				}
			})
		})
	}
}

// A short pause of its own keeps a server from judging others by the end of their
// lines, not from judging them by a long silence.
func TestAShortPauseDoesNotHideALongSilence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPeers("a", 1)
		run := func(gap time.Duration) (steady, brisk bool) {
			for range settled/replicaBeat + 1 {
				p.noted(time.Now())
				time.Sleep(replicaBeat)
			}
			time.Sleep(gap - replicaBeat)
			return p.noted(time.Now())
		}
		type judges struct{ Steady, Brisk bool }
		got := make(map[time.Duration]judges)
		for _, gap := range []time.Duration{replicaBeat, time.Second, replicaDeadAfter} {
			var j judges
			j.Steady, j.Brisk = run(gap)
			got[gap] = j
		}
		want := map[time.Duration]judges{replicaBeat: {true, true}, time.Second: {true, false}, replicaDeadAfter: {false, false}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("what a replica judges after a gap of its own (-want +got):\n%s", diff)
		}
	})
}

// Another server may hold what is in question, and fail: as long as something is
// left the dead one is not forgotten. If nothing is left nobody is asked.
func TestAReplicaIsForgottenOnceNothingOfItIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked, tries := 0, 0
		m := newMourner(func() bool { asked++; return true })
		m.gone = func(context.Context, string, time.Time) error { tries++; return nil } // locked elsewhere
		m.beatFor(t.Context(), settled+namingPatience)
		if m.registry.forgotten.Load() || tries < 2 {
			t.Errorf("forgotten %v after %d tries that changed nothing, want more tries", m.registry.forgotten.Load(), tries)
		}
		before := asked
		m.store.n.Store(0) // the other one was faster
		m.beatFor(t.Context(), 2*replicaBeat)
		if !m.registry.forgotten.Load() || asked != before {
			t.Errorf("with nothing left it is forgotten %v, and executors were asked %d times; want true, none", m.registry.forgotten.Load(), asked-before)
		}
		m.background.close()
	})
}
