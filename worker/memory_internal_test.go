package worker

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/firjob/firjob"
)

// Whatever is sent, refused, finished and acknowledged in whatever order: a
// token runs at most once, never after it was refused for want of room or in a
// cordon, and never after a higher one of its execution, as far back as the memory goes.
func TestTokensRunAtMostOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const executions, tokens = 4, 5
		tab := newTable(1, 1, neverJammed)
		ran, refused := map[firjob.AttemptRef]bool{}, map[firjob.AttemptRef]bool{}
		highest := map[firjob.ExecutionID]int64{}
		t.Repeat(map[string]func(*rapid.T){
			"send": func(t *rapid.T) {
				a := testAttempt(rapid.IntRange(1, executions).Draw(t, "execution"), time.Hour)
				a.task.Token = rapid.Int64Range(1, tokens).Draw(t, "token")
				ref, before := a.ref(), len(tab.queue)
				answer := tab.accept([]*attempt{a}, time.Now())[0]
				runs := len(tab.queue) > before
				switch {
				case runs && answer != firjob.Accepted:
					t.Fatalf("%v runs although it was answered %s", ref, answer)
				case runs && (ran[ref] || refused[ref] || ref.Token < highest[ref.ID]):
					t.Fatalf("%v runs: ran before %v, refused before %v, highest token %d", ref, ran[ref], refused[ref], highest[ref.ID])
				case answer == firjob.Accepted && !runs && !ran[ref]:
					t.Fatalf("%v was accepted and never runs", ref)
				case ref.Token < highest[ref.ID] && answer != firjob.RefusedStale:
					t.Fatalf("%v was answered %s after token %d", ref, answer, highest[ref.ID])
				}
				ran[ref] = ran[ref] || runs
				refused[ref] = refused[ref] || answer == firjob.RefusedFull || answer == firjob.RefusedDrain
				highest[ref.ID] = max(highest[ref.ID], ref.Token)
			},
			"cordon": func(t *rapid.T) { tab.cordon(rapid.Bool().Draw(t, "on")) },
			"end one": func(t *rapid.T) {
				if len(tab.queue) == 0 {
					t.Skip()
				}
				a := <-tab.queue
				if rapid.Bool().Draw(t, "answered") {
					tab.finish(a)
					tab.acknowledge([]firjob.AttemptRef{a.ref()})
				} else {
					tab.drop(a)
				}
			},
			"": func(t *rapid.T) {
				if len(tab.held) != tab.pending || tab.pending != len(tab.queue) {
					t.Fatalf("%d held, %d pending, %d queued", len(tab.held), tab.pending, len(tab.queue))
				}
			},
		})
	})
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	const limit = 10
	m := newMemory(limit, limit)
	for n := range 5 * limit {
		ref := firjob.AttemptRef{ID: firjob.Fire(7, time.UnixMilli(int64(n))), Token: 1}
		if n%2 == 0 {
			m.refuse(ref, false)
			continue
		}
		m.accept(ref)
		m.end(ref)
	}
	if got := len(m.marks); got != 2*limit {
		t.Errorf("%d executions remembered, want %d", got, 2*limit)
	}
	kept := firjob.AttemptRef{ID: firjob.Fire(8, time.UnixMilli(0)), Token: 1}
	m.refuse(kept, true)
	kept.Token = 2
	m.accept(kept) // held: must outlive the refusal of its first token
	for n := range 2 * limit {
		m.refuse(firjob.AttemptRef{ID: firjob.Fire(9, time.UnixMilli(int64(n))), Token: 1}, false)
	}
	if m.marks[kept.ID].token != 2 {
		t.Error("an execution was forgotten while it is held")
	}
}
