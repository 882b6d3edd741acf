package scheduler

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// porter is a store that lets in, as the test says.
type porter struct {
	Store // only Admit is used
	admit func() (ports.Followed, time.Duration, error)
}

func (p porter) Admit(context.Context) (ports.Followed, time.Duration, error) { return p.admit() }

func TestAdmissionLooksWhenItIsWorthWhile(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		next    time.Duration
		err     error
		parkAt  time.Duration // somebody begins to wait then; 0: nobody
		looks   int           // within three seconds
		slack   int           // idle looks are spread
		earlyBy time.Duration // a look is wanted within this of parkAt
	}{
		"nobody waits":         {next: time.Hour, looks: 4, slack: 1},
		"the store fails":      {err: errors.New("no store"), looks: 3, slack: 1},
		"a token in 200 ms":    {next: 200 * time.Millisecond, looks: 15, slack: 1},
		"more at once":         {next: 0, looks: 60, slack: 1},
		"somebody is parked":   {next: time.Hour, parkAt: 300 * time.Millisecond, looks: 5, slack: 1, earlyBy: admitPause},
		"a token in 10 s, and": {next: 10 * time.Second, looks: 4, slack: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				var looks []time.Duration
				store := porter{admit: func() (ports.Followed, time.Duration, error) {
					looks = append(looks, time.Since(began))
					return ports.Followed{}, c.next, c.err
				}}
				a := newAdmission(store, func(context.Context, ports.Followed) {}, newTroubles(slog.New(slog.DiscardHandler), time.Now))
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
				defer cancel()
				if c.parkAt > 0 {
					time.AfterFunc(c.parkAt, a.nudge)
				}
				a.run(ctx)
				if len(looks) < c.looks-c.slack || len(looks) > c.looks+c.slack {
					t.Errorf("looked %d times, want about %d: %v", len(looks), c.looks, looks)
				}
				for _, at := range looks {
					if c.earlyBy > 0 && at >= c.parkAt && at <= c.parkAt+c.earlyBy {
						return
					}
				}
				if c.earlyBy > 0 {
					t.Errorf("looked at %v, want a look within %v of %v", looks, c.earlyBy, c.parkAt)
				}
			})
		})
	}
}

func TestAdmissionTellsWhatFollows(t *testing.T) {
	t.Parallel()
	want := ports.Followed{Ended: []firjob.ExecutionID{firjob.Fire(1, time.UnixMilli(0))}}
	var got ports.Followed
	a := newAdmission(porter{admit: func() (ports.Followed, time.Duration, error) { return want, 0, errors.New("half of it") }},
		func(_ context.Context, f ports.Followed) { got = f }, newTroubles(slog.New(slog.DiscardHandler), time.Now))
	a.pass(t.Context())
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what follows (-want +got):\n%s", diff)
	}
}
