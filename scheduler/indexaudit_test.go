package scheduler

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// twoSides are a store and a queue that hold what a test puts there.
type twoSides struct {
	fates map[firjob.ExecutionID]ports.Fate
	queue map[firjob.ExecutionID]ports.IndexEntry
	down  error
}

func (s *twoSides) Upcoming(_ context.Context, horizon time.Duration, after firjob.ExecutionID, limit int) ([]firjob.Due, error) {
	var due []firjob.Due
	for id, f := range s.fates {
		if f.State == firjob.StatePlanned && !f.Waiting && f.DueIn < horizon && id.String() > after.String() {
			due = append(due, firjob.Due{ID: id})
		}
	}
	slices.SortFunc(due, func(a, b firjob.Due) int { return slices.Compare(a.ID[:], b.ID[:]) })
	return due[:min(limit, len(due))], s.down
}

func (s *twoSides) Fates(_ context.Context, ids []firjob.ExecutionID) (map[firjob.ExecutionID]ports.Fate, error) {
	known := map[firjob.ExecutionID]ports.Fate{}
	for _, id := range ids {
		if f, ok := s.fates[id]; ok {
			known[id] = f
		}
	}
	return known, s.down
}

func (s *twoSides) Entries(context.Context, int) ([]ports.IndexEntry, error) {
	var list []ports.IndexEntry
	for _, e := range s.queue {
		list = append(list, e)
	}
	return list, s.down
}

func (s *twoSides) Find(_ context.Context, ids []firjob.ExecutionID) ([]ports.IndexEntry, error) {
	var list []ports.IndexEntry
	for _, id := range ids {
		if e, ok := s.queue[id]; ok {
			list = append(list, e)
		}
	}
	return list, s.down
}

func TestIndexAudit(t *testing.T) {
	t.Parallel()
	id := firjob.Fire(42, time.UnixMilli(1_800_000_000_000))
	planned := &ports.Fate{State: firjob.StatePlanned, DueIn: 30 * time.Second}
	waiting := &ports.Fate{State: firjob.StatePlanned, Waiting: true}
	afterwards := &ports.Fate{State: firjob.StatePlanned, DueIn: 2 * time.Minute}
	running := &ports.Fate{State: firjob.StateRunning, DueIn: -time.Minute}
	ended := &ports.Fate{State: firjob.StateSucceeded, DueIn: -time.Minute}
	entry := func(past time.Duration) *ports.IndexEntry { return &ports.IndexEntry{ID: id, Past: past} }
	type moment struct {
		fate  *ports.Fate
		entry *ports.IndexEntry
	}
	tests := map[string]struct {
		first, second moment
		want          ports.IndexDrift
	}{
		"planned and in the queue":              {moment{planned, entry(-time.Second)}, moment{planned, entry(-time.Second)}, ports.IndexDrift{}},
		"nothing":                               {moment{}, moment{}, ports.IndexDrift{}},
		"unknown in the store":                  {moment{nil, entry(-time.Hour)}, moment{nil, entry(-time.Hour)}, ports.IndexDrift{Unknown: []firjob.ExecutionID{id}}},
		"unknown for a moment":                  {moment{nil, entry(0)}, moment{planned, entry(0)}, ports.IndexDrift{}},
		"ended and long due":                    {moment{ended, entry(time.Minute)}, moment{ended, entry(time.Minute)}, ports.IndexDrift{Ended: []firjob.ExecutionID{id}}},
		"ended and then dropped":                {moment{ended, entry(time.Minute)}, moment{ended, nil}, ports.IndexDrift{}},
		"cancelled before its time":             {moment{ended, entry(-time.Minute)}, moment{ended, entry(-time.Minute)}, ports.IndexDrift{}},
		"running and long due":                  {moment{running, entry(time.Minute)}, moment{running, entry(time.Minute)}, ports.IndexDrift{}},
		"planned and not in the queue":          {moment{planned, nil}, moment{planned, nil}, ports.IndexDrift{Missing: []firjob.ExecutionID{id}}},
		"planned and announced a moment later":  {moment{planned, nil}, moment{planned, entry(0)}, ports.IndexDrift{}},
		"planned and claimed in between":        {moment{planned, nil}, moment{running, nil}, ports.IndexDrift{}},
		"planned and sent to wait in between":   {moment{planned, nil}, moment{waiting, nil}, ports.IndexDrift{}},
		"planned and put off in between":        {moment{planned, nil}, moment{afterwards, nil}, ports.IndexDrift{}},
		"in line, and so not in the queue":      {moment{waiting, nil}, moment{waiting, nil}, ports.IndexDrift{}},
		"beyond the horizon, not in the queue":  {moment{afterwards, nil}, moment{afterwards, nil}, ports.IndexDrift{}},
		"unknown first, missing at second look": {moment{nil, entry(0)}, moment{planned, nil}, ports.IndexDrift{}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sides := &twoSides{}
			audit := &IndexAudit{Store: sides, Queue: sides, Horizon: time.Minute}
			set := func(m moment) {
				sides.fates, sides.queue = map[firjob.ExecutionID]ports.Fate{}, map[firjob.ExecutionID]ports.IndexEntry{}
				if m.fate != nil {
					sides.fates[id] = *m.fate
				}
				if m.entry != nil {
					sides.queue[id] = *m.entry
				}
			}
			set(tt.first)
			if got, err := audit.Look(t.Context()); err != nil || got.Count() != 0 {
				t.Errorf("the first look: got %+v, %v; want nothing", got, err)
			}
			sides.down = errors.New("away")
			if _, err := audit.Look(t.Context()); !errors.Is(err, sides.down) {
				t.Errorf("a look without stores: got %v, want the error", err)
			}
			sides.down = nil
			set(tt.second)
			got, err := audit.Look(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, cmp.Comparer(slices.Equal[[]firjob.ExecutionID])); diff != "" {
				t.Errorf("the second look (-want +got):\n%s", diff)
			}
		})
	}
}

// Of many planned ones a look sees the earliest and some others, not all.
func TestIndexAuditSamples(t *testing.T) {
	t.Parallel()
	sides := &twoSides{fates: map[firjob.ExecutionID]ports.Fate{}}
	at := time.UnixMilli(1_800_000_000_000)
	for i := range 3 * storeSample {
		sides.fates[firjob.Fire(42, at.Add(time.Duration(i)*40*time.Millisecond))] = ports.Fate{State: firjob.StatePlanned}
	}
	audit := &IndexAudit{Store: sides, Queue: sides, Horizon: time.Minute}
	for range 2 {
		if _, err := audit.Look(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	drift, err := audit.Look(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n := len(drift.Missing); n < storeSample || n > suspectLimit {
		t.Errorf("%d missing, want %d to %d", n, storeSample, suspectLimit)
	}
}
