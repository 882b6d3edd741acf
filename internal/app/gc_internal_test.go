package app

import (
	"runtime/debug"
	"testing"
)

// The heap is given back when the process is at rest, and again only after it has
// grown.
func TestRestIsWorthGivingBack(t *testing.T) {
	t.Parallel()
	const mb = 1 << 20
	r := rest{kept: 20 * mb}
	for _, look := range []struct {
		when            string
		allocated, size uint64
		want            bool
	}{
		{"in the burst", 500 * mb, 150 * mb, false},
		{"in the burst, still", 520 * mb, 160 * mb, false},
		{"at rest", 521 * mb, 161 * mb, true},
		{"at rest, and nothing was given back", 522 * mb, 162 * mb, true},
		{"little was left", 523 * mb, 28 * mb, false},
		{"it has grown bit by bit", 531 * mb, 29 * mb, true},
		{"busy again", 540 * mb, 100 * mb, false},
	} {
		if got := r.worth(heap{allocated: look.allocated, size: look.size}); got != look.want {
			t.Errorf("%s: worth is %v, want %v", look.when, got, look.want)
		}
	}
}

// What the heap's size is made of shrinks when memory is given back.
func TestHeapShrinksWhenGivenBack(t *testing.T) { // not parallel: others allocate
	left := make([]byte, 256<<20)
	before := readHeap()
	left[0] = 1
	debug.FreeOSMemory()
	after := readHeap()
	if before.size < 256<<20 || after.size > before.size-128<<20 || after.allocated < before.allocated {
		t.Errorf("256 MB were given back: the heap was %+v and is %+v", before, after)
	}
}
