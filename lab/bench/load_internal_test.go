package bench

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/firjob/firjob"
)

// However many jobs there are, no two fires that follow one another are further
// apart than twice the mean, the last of an interval and the first of the next
// included.
func TestOffsetsLieEvenly(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 3000).Draw(t, "n")
		interval := time.Duration(rapid.Int64Range(100, 100_000).Draw(t, "interval")) * time.Millisecond
		var offsets []time.Duration
		for i := range n {
			at := offset(i, interval)
			if at < 0 || at >= interval || at%time.Millisecond != 0 {
				t.Fatalf("job %d fires %v after the start, want a whole millisecond below %v", i, at, interval)
			}
			offsets = append(offsets, at)
		}
		slices.Sort(offsets)
		gap := offsets[0] + interval - offsets[n-1]
		for i := 1; i < n; i++ {
			gap = max(gap, offsets[i]-offsets[i-1])
		}
		if most := 2*interval/time.Duration(n) + time.Millisecond; gap > most {
			t.Errorf("of %d fires in %v two are %v apart, want %v at most", n, interval, gap, most)
		}
	})
}

// What is expected is what is found by looking at each millisecond.
func TestExpectedEndsWithTheLoad(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		at := func(name string) time.Time { return time.UnixMilli(rapid.Int64Range(0, 1000).Draw(t, name)) }
		l := &load{interval: time.Duration(rapid.Int64Range(1, 200).Draw(t, "interval")) * time.Millisecond}
		for range rapid.IntRange(1, 5).Draw(t, "jobs") {
			l.jobs = append(l.jobs, firing{first: at("first")})
		}
		if rapid.Bool().Draw(t, "ends") {
			l.end = at("end")
		}
		from, until := at("from"), at("until")
		if until.Before(from) {
			from, until = until, from
		}
		var want int64
		for t := from; t.Before(until); t = t.Add(time.Millisecond) {
			for _, j := range l.jobs {
				if !t.Before(j.first) && t.Sub(j.first)%l.interval == 0 && (l.end.IsZero() || t.Before(l.end)) {
					want++
				}
			}
		}
		if got := l.expected(from, until); got != want {
			t.Errorf("%d are expected from %v to %v of %+v, want %d", got, from, until, l, want)
		}
	})
}

// The first fire is what was asked for. Only what was made too late may fire later,
// and then at the next instant that was asked for.
func TestFirstFireIsWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	l := &load{interval: 250 * time.Millisecond, start: time.UnixMilli(10_000)}
	at := func(ms int64) *time.Time { t := time.UnixMilli(ms); return &t }
	wanted := l.start.Add(offset(1, l.interval)).UnixMilli()
	for name, tt := range map[string]struct {
		next *time.Time
		made int64
		want string // in the error
	}{
		"as asked for":             {at(wanted), 5000, ""},
		"in the nick of time":      {at(wanted), wanted + 10, ""},
		"made later":               {at(wanted + 750), wanted + 600, ""},
		"none":                     {nil, 5000, "no next fire"},
		"too early":                {at(wanted - 250), 5000, "gave its next fire"},
		"a millisecond off":        {at(wanted + 1), 5000, "gave its next fire"},
		"one left out":             {at(wanted + 250), wanted - 1, "gave its next fire"},
		"made later, one left out": {at(wanted + 1000), wanted + 600, "gave its next fire"},
	} {
		first, err := l.firstFire(1, madeJob{7, tt.next}, time.UnixMilli(tt.made))
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %q", name, err, tt.want)
		}
		if err == nil && !first.Equal(*tt.next) {
			t.Errorf("%s: first fire %v, want %v", name, first, tt.next)
		}
	}
}

// The bodies say what is expected.
func TestBodiesStartAtTheirOffset(t *testing.T) {
	t.Parallel()
	l := &load{name: "x", interval: time.Second, start: time.UnixMilli(10_000), end: time.UnixMilli(20_000)}
	if s := l.body(3).Schedule; !s.StartAt.Equal(l.start.Add(offset(3, time.Second))) || !s.EndAt.Equal(l.end) {
		t.Errorf("schedule %+v, want it from its offset to the end", s)
	}
	l.end = time.Time{}
	if text, err := json.Marshal(l.body(3)); err != nil || strings.Contains(string(text), "end_at") {
		t.Errorf("a load without an end has one, or an error (%v): %s", err, text)
	}
}

// A step of a search ends as soon as it is hopeless, and not before.
func TestWaitUnlessHopeless(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		after := func(d time.Duration) func(context.Context) (bool, error) {
			return func(context.Context) (bool, error) { return time.Since(began) >= d, nil }
		}
		gaveUp, err := Options{}.waitUnless(t.Context(), 20*time.Second, after(2500*time.Millisecond))
		if took := time.Since(began); !gaveUp || err != nil || took != 3*time.Second {
			t.Errorf("gave up: %v, %v after %v; want it given up at the look after 3 s", gaveUp, err, took)
		}
		began = time.Now()
		gaveUp, err = Options{}.waitUnless(t.Context(), 2500*time.Millisecond, after(time.Hour))
		if took := time.Since(began); gaveUp || err != nil || took != 2500*time.Millisecond {
			t.Errorf("gave up: %v, %v after %v; want the whole of 2.5 s", gaveUp, err, took)
		}
		_, err = Options{}.waitUnless(t.Context(), 3*time.Second, func(context.Context) (bool, error) {
			return false, firjob.Errorf(firjob.CodeUnavailable, "away")
		})
		if firjob.CodeOf(err) != firjob.CodeUnavailable {
			t.Errorf("error %v, want that of the look", err)
		}
	})
}

// The search ends close to the limit, whatever that is and wherever it begins, both
// when it looks for the neighbourhood and when that was too high.
func TestNextFindsTheLimit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(0, 1_000_000).Draw(t, "limit")
		n := rapid.IntRange(1, 2_000_000).Draw(t, "first")
		precision := rapid.SampledFrom([]float64{0.01, 0.05, 1}).Draw(t, "precision")
		tooMuch, drop := 0, 0.5
		if rapid.Bool().Draw(t, "after brief steps") {
			tooMuch, drop = n+1, precision
			limit = min(limit, n)
		}
		held, steps := 0, 0
		for ; ; steps++ {
			if steps > 60 {
				t.Fatalf("%d steps and no end: %d held, %d were too much, the limit is %d", steps, held, tooMuch, limit)
			}
			if n <= limit {
				held = n
			} else {
				tooMuch = n
			}
			if near(held, tooMuch, precision) {
				break
			}
			n = next(held, tooMuch, drop)
			drop = min(0.5, 2*drop)
		}
		if held > limit || tooMuch <= limit || held == 0 && limit > 0 {
			t.Errorf("found %d to %d, the limit is %d", held, tooMuch, limit)
		}
	})
}
