package scheduler

import (
	"sync"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/timetable"
)

// maxTimetables bounds the cache; when it is full it starts anew, which costs
// one parse a job.
const maxTimetables = 50_000

// timetables keeps the compiled schedules of jobs by version, since a scan asks
// for the same ones again and again. The zero value is ready to use.
type timetables struct {
	mu sync.Mutex
	of map[firjob.JobID]keptTimetable
}

type keptTimetable struct {
	version int
	anchor  time.Time
	*timetable.Timetable
}

func (t *timetables) get(job firjob.Job, anchor time.Time) (*timetable.Timetable, error) {
	t.mu.Lock()
	have, ok := t.of[job.ID]
	t.mu.Unlock()
	if ok && have.version == job.Version && have.anchor.Equal(anchor) {
		return have.Timetable, nil
	}
	made, err := timetable.Of(job, anchor)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of == nil || len(t.of) >= maxTimetables {
		t.of = make(map[firjob.JobID]keptTimetable)
	}
	t.of[job.ID] = keptTimetable{job.Version, anchor, made}
	return made, nil
}
