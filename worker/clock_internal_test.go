package worker

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/firjob/firjob/internal/clockfault"
)

func TestClockStartsWithTheLocalTime(t *testing.T) {
	t.Parallel()
	origin := time.Now()
	c := newServerClock(origin)
	if got := c.at(origin.Add(time.Second)); !got.Equal(origin.Add(time.Second)) || got.Location() != time.UTC || c.set() {
		t.Errorf("a second after %v: %v (set: %v)", origin, got, c.set())
	}
}

// The estimate is off by at most half of the shortest trip among the latest
// samples, however the trips divide into there and back.
func TestClockErrorIsBoundedByTheShortestTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		origin := time.Now()
		ahead := time.Duration(rapid.Int64Range(-int64(time.Hour), int64(time.Hour)).Draw(t, "ahead"))
		c := newServerClock(origin)
		c.fault.Offset = time.Duration(rapid.Int64Range(-int64(time.Hour), int64(time.Hour)).Draw(t, "wrong"))
		sent := origin
		var trips []time.Duration
		for range rapid.IntRange(1, 3*clockSamples).Draw(t, "beats") {
			there := time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "there"))
			back := time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "back"))
			c.observe(sent, sent.Add(there+back), sent.Round(0).Add(there+ahead))
			trips = append(trips, there+back)
			sent = sent.Add(time.Second)
		}
		latest := trips[max(0, len(trips)-clockSamples):]
		bound := latest[0]
		for _, trip := range latest {
			bound = min(bound, trip)
		}
		if off := c.at(sent).Sub(sent.Round(0).Add(ahead)).Abs(); off > bound/2+1 {
			t.Fatalf("off by %v; the shortest of %v allows %v", off, latest, bound/2)
		}
	})
}

// A clock that drifts is off by what it gains since the sample, and no more,
// whatever it shows.
func TestClockFollowsAServerWhileTheLocalOneDrifts(t *testing.T) {
	t.Parallel()
	for _, drift := range []int{150, -150, 5000, -5000} {
		origin := time.Now()
		c := newServerClock(origin)
		c.fault = clockfault.Fault{Offset: 30 * time.Second, Drift: drift}
		for beat := range 60 {
			sent := origin.Add(time.Duration(beat) * time.Second)
			c.observe(sent, sent.Add(time.Millisecond), sent.Round(0).Add(500*time.Microsecond))
			next := sent.Add(time.Second)
			gained := time.Second * time.Duration(drift) / 1e6
			if off := c.at(next).Sub(next.Round(0)); (off - gained).Abs() > 20*time.Microsecond {
				t.Fatalf("%d ppm, %v after the start: off by %v, want %v", drift, next.Sub(origin), off, gained)
			}
		}
	}
}
