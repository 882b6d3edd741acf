package scheduler

import (
	"math/rand/v2"
	"time"

	"github.com/firjob/firjob"
)

// memory is what this server remembers of which executors ran a job: what the
// routes that remember go by while Redis is away. Like Redis it forgets, all at
// once and after a day.
type memory struct {
	jobs  map[firjob.JobID]map[string]use // by address
	since time.Time
	uses  uint64 // ever, to order them
}

// use is how often an executor ran a job, and when it did so last: as the n-th
// use of all.
type use struct {
	count int
	last  uint64
}

// Bounds of a memory.
const (
	memoryJobs = 10_000
	memoryAge  = 24 * time.Hour
)

// note remembers that an executor runs a job.
func (m *memory) note(job firjob.JobID, address string, now time.Time) {
	if m.jobs == nil || len(m.jobs) > memoryJobs || now.Sub(m.since) > memoryAge {
		m.jobs, m.since = make(map[firjob.JobID]map[string]use), now
	}
	of := m.jobs[job]
	if of == nil {
		of = make(map[string]use)
		m.jobs[job] = of
	}
	m.uses++
	of[address] = use{of[address].count + 1, m.uses}
}

// pick chooses by a route that remembers, any of several that are equal.
func (m *memory) pick(route firjob.Route, job firjob.JobID, able []*executor) *executor {
	of := m.jobs[job]
	best := able[rand.IntN(len(able))]
	for _, e := range able {
		if better(route, of[e.Address], of[best.Address]) {
			best = e
		}
	}
	return best
}

func better(route firjob.Route, a, b use) bool {
	switch route {
	case firjob.RouteLeastRecent:
		return a.last < b.last
	case firjob.RouteLeastFrequent:
		return a.count < b.count
	}
	return a.last > b.last // sticky
}
