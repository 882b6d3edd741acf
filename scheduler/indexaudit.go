package scheduler

import (
	"bytes"
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// Numbers of the comparison of the delay queue with the store.
const (
	// endedSlack is for how long the queue may be due to drop what has ended: a
	// head that nobody claims is taken by any server within half a second, a lease
	// that ended is reaped within a few.
	endedSlack = 10 * time.Second

	indexSample  = 16   // entries from each end of each set of the queue
	storeSample  = 500  // planned executions, twice
	suspectLimit = 1000 // of each kind, looked at again
)

// AuditStore is what the comparison asks of Postgres.
type AuditStore interface {
	// Upcoming returns up to limit planned executions with an id above after that
	// are due before now+horizon and do not wait for their turn, by id.
	Upcoming(ctx context.Context, horizon time.Duration, after firjob.ExecutionID, limit int) ([]firjob.Due, error)
	// Fates returns how those of the executions stand that exist.
	Fates(ctx context.Context, ids []firjob.ExecutionID) (map[firjob.ExecutionID]ports.Fate, error)
}

// AuditQueue is what the comparison asks of Redis.
type AuditQueue interface {
	// Entries returns a sample of the delay queue, n entries from each end of
	// each of its sets, as it may be.
	Entries(ctx context.Context, n int) ([]ports.IndexEntry, error)
	// Find returns those of the executions that the queue holds.
	Find(ctx context.Context, ids []firjob.ExecutionID) ([]ports.IndexEntry, error)
}

// IndexAudit compares samples of the delay queue and of the store, and changes
// neither. The two are read one after the other while both are in motion, so a
// single look proves nothing: what counts is what was so at two looks in a row. It
// is for one goroutine.
type IndexAudit struct {
	Store   AuditStore
	Queue   AuditQueue
	Horizon time.Duration // how far ahead the queue knows what is planned

	unknown, ended, missing suspects // of the last look
}

// suspects are executions that one look has found to be wrong.
type suspects map[firjob.ExecutionID]bool

// Look compares once more and returns what was wrong at the look before, too; the
// first look finds nothing. On an error the suspects of the look before are kept.
func (a *IndexAudit) Look(ctx context.Context) (ports.IndexDrift, error) {
	unknown, ended, err := a.surplus(ctx)
	if err != nil {
		return ports.IndexDrift{}, err
	}
	missing, err := a.absent(ctx)
	if err != nil {
		return ports.IndexDrift{}, err
	}
	drift := ports.IndexDrift{
		Unknown: both(a.unknown, unknown),
		Ended:   both(a.ended, ended),
		Missing: both(a.missing, missing),
	}
	a.unknown, a.ended, a.missing = unknown, ended, missing
	return drift, nil
}

// surplus finds what is in the queue and should not be. What was cancelled
// before its time stays in it until then, by design.
func (a *IndexAudit) surplus(ctx context.Context) (unknown, ended suspects, err error) {
	entries, err := a.Queue.Entries(ctx, indexSample)
	if err != nil {
		return nil, nil, err
	}
	again, err := a.Queue.Find(ctx, slices.Concat(a.unknown.list(), a.ended.list()))
	if err != nil {
		return nil, nil, err
	}
	entries = append(entries, again...)
	ids := make([]firjob.ExecutionID, len(entries))
	for i, e := range entries {
		ids[i] = e.ID
	}
	fates, err := a.Store.Fates(ctx, ids)
	unknown, ended = suspects{}, suspects{}
	for _, e := range entries {
		fate, known := fates[e.ID]
		switch {
		case !known:
			unknown.add(e.ID)
		case fate.State.Final() && e.Past > endedSlack:
			ended.add(e.ID)
		}
	}
	return unknown, ended, err
}

// absent finds what is planned and soon due and not in the queue: among the
// earliest, which are retries of long ago, and from a random instant on.
func (a *IndexAudit) absent(ctx context.Context) (suspects, error) {
	again := a.missing.list()
	fates, err := a.Store.Fates(ctx, again)
	if err != nil {
		return nil, err
	}
	ids := slices.DeleteFunc(again, func(id firjob.ExecutionID) bool {
		fate := fates[id]
		return fate.State != firjob.StatePlanned || fate.Waiting || fate.DueIn > a.Horizon
	})
	earliest, err := a.Store.Upcoming(ctx, a.Horizon, firjob.ExecutionID{}, storeSample)
	if err != nil {
		return nil, err
	}
	later := []firjob.Due{}
	if len(earliest) == storeSample {
		last := earliest[storeSample-1].ID
		from := last.ScheduledAt().Add(rand.N(max(a.Horizon, 1)))
		if later, err = a.Store.Upcoming(ctx, a.Horizon, firjob.FirstIDAt(from), storeSample); err != nil {
			return nil, err
		}
	}
	for _, d := range append(earliest, later...) {
		ids = append(ids, d.ID)
	}
	there, err := a.Queue.Find(ctx, ids)
	if err != nil {
		return nil, err
	}
	found := make(suspects, len(there))
	for _, e := range there {
		found[e.ID] = true
	}
	missing := suspects{}
	for _, id := range ids {
		if !found[id] {
			missing.add(id)
		}
	}
	return missing, nil
}

func (s suspects) add(id firjob.ExecutionID) {
	if len(s) < suspectLimit {
		s[id] = true
	}
}

// list returns the suspects in the order of their ids.
func (s suspects) list() []firjob.ExecutionID {
	return slices.SortedFunc(maps.Keys(s), func(a, b firjob.ExecutionID) int { return bytes.Compare(a[:], b[:]) })
}

func both(before, now suspects) []firjob.ExecutionID {
	return slices.DeleteFunc(now.list(), func(id firjob.ExecutionID) bool { return !before[id] })
}
