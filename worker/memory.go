package worker

import "github.com/firjob/firjob"

// How many attempts are remembered after their end, so that a late repeat of
// their trigger is known for what it is. Triggers older than their lease are
// refused anyway; this many cover 8 s of the highest rate we design for.
const (
	rememberedDone    = 1 << 18
	rememberedRefused = 1 << 14
)

// memory knows the highest token that was seen of each execution: of all that
// is held, and of the latest that are not. The table's lock guards it.
type memory struct {
	marks   map[firjob.ExecutionID]mark
	done    ring
	refused ring
}

// mark is an execution's highest token and the answer that was given to it. A
// refusal that has its time, for want of room or in a cordon, is remembered, too:
// the server relies on it that a refused token never runs, also if a copy of the
// request comes late.
type mark struct {
	token   int64
	refused bool
	drained bool // refused as draining
}

// repeat answers a trigger whose token is not higher than the mark's.
func (m mark) repeat(token int64) firjob.Acceptance {
	switch {
	case token < m.token:
		return firjob.RefusedStale
	case m.drained:
		return firjob.RefusedDrain
	case m.refused:
		return firjob.RefusedFull
	}
	return firjob.Accepted
}

func newMemory(done, refused int) memory {
	return memory{
		marks:   make(map[firjob.ExecutionID]mark),
		done:    ring{limit: done},
		refused: ring{limit: refused},
	}
}

func (m *memory) accept(ref firjob.AttemptRef) { m.marks[ref.ID] = mark{token: ref.Token} }

func (m *memory) refuse(ref firjob.AttemptRef, drained bool) {
	m.marks[ref.ID] = mark{token: ref.Token, refused: true, drained: drained}
	m.age(&m.refused, ref)
}

// end notes that an accepted attempt is not held any more.
func (m *memory) end(ref firjob.AttemptRef) { m.age(&m.done, ref) }

// age puts ref at the young end of r and forgets the one that falls out at the
// other, unless its execution has a newer token by now.
func (m *memory) age(r *ring, ref firjob.AttemptRef) {
	old, full := r.push(ref)
	if full && m.marks[old.ID].token == old.Token {
		delete(m.marks, old.ID)
	}
}

// ring holds the latest limit attempts. It grows only as far as it is used.
type ring struct {
	limit int
	items []firjob.AttemptRef
	head  int // the oldest, once items is full
}

func (r *ring) push(ref firjob.AttemptRef) (old firjob.AttemptRef, full bool) {
	if len(r.items) < r.limit {
		r.items = append(r.items, ref)
		return old, false
	}
	old, r.items[r.head] = r.items[r.head], ref
	r.head = (r.head + 1) % r.limit
	return old, true
}
