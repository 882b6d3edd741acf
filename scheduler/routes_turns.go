package scheduler

import (
	"maps"
	"math/rand/v2"

	"github.com/firjob/firjob/internal/ports"
)

// turns are the numbers by which round robin goes, ring by ring. Redis counts
// them for all servers; they are reserved when flights enter the hold, a moment
// before they are needed. A flight that does not stay there for long enough takes
// one that was reserved before, and the next one finds its. So nobody waits for a
// number, and each is used once. Only where none is left, as while Redis is away,
// does this server count by itself.
type turns map[ports.Ring]*ringTurns

type ringTurns struct {
	reserved []span
	have     int // reserved, and asked for
	due      int // flights in the hold that are to take one
	spare    int // to have beyond those, for flights that are due at once
	last     uint64
}

// span is consecutive turns.
type span struct{ next, end uint64 }

// maxSpare bounds how many turns are kept for flights that are due at once.
const maxSpare = 64

func (t turns) of(ring ports.Ring) *ringTurns {
	have, ok := t[ring]
	if !ok {
		t.prune()
		// Replicas that count by themselves do not all begin with the same executor.
		have = &ringTurns{last: rand.Uint64N(1 << 32)}
		t[ring] = have
	}
	return have
}

// manyRings is from how many rings on those without a flight are removed: apps and
// labels come and go.
const manyRings = 1024

// prune removes the rings that no flight is waiting for, each time that the number
// of rings has doubled. The turns that were reserved for them are left out.
func (t turns) prune() {
	if n := len(t); n < manyRings || n&(n-1) != 0 {
		return
	}
	maps.DeleteFunc(t, func(_ ports.Ring, r *ringTurns) bool { return r.rests() })
}

// rests reports whether no flight is to take a turn and no turns are on their way.
func (r *ringTurns) rests() bool {
	here := 0
	for _, s := range r.reserved {
		here += int(s.end - s.next)
	}
	return r.due == 0 && here == r.have
}

// expect takes note of n flights that enter the hold, and returns how many turns
// to ask for.
func (t turns) expect(ring ports.Ring, n int) int {
	r := t.of(ring)
	r.due += n
	ask := max(0, r.due+r.spare-r.have)
	r.have += ask
	return ask
}

// add enters n turns that were asked for, from first on.
func (t turns) add(ring ports.Ring, first uint64, n int) {
	r := t.of(ring)
	r.reserved = append(r.reserved, span{first, first + uint64(n)})
}

// miss takes note that n turns that were asked for do not come.
func (t turns) miss(ring ports.Ring, n int) { t.of(ring).have -= n }

// leave takes note of a flight that leaves the hold without a turn.
func (t turns) leave(ring ports.Ring) {
	r := t.of(ring)
	r.due = max(0, r.due-1)
}

// take returns the turn of a flight that leaves the hold.
func (t turns) take(ring ports.Ring) uint64 {
	t.leave(ring)
	r := t.of(ring)
	if len(r.reserved) == 0 {
		r.spare = min(r.spare+1, maxSpare)
		r.last++
		return r.last
	}
	r.have--
	r.last = r.reserved[0].next
	if r.reserved[0].next++; r.reserved[0].next == r.reserved[0].end {
		r.reserved = r.reserved[1:]
	}
	return r.last
}
