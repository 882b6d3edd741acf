package scheduler

import (
	"sync"
	"time"

	"github.com/firjob/firjob"
)

// maxTimetables bounds the cache; when it is full it starts anew, which costs
// one parse a job.
const maxTimetables = 50_000

// timetables keeps the compiled schedules of jobs by version, since a scan asks
// for the same ones again and again. The zero value is ready to use.
type timetables struct {
	mu sync.Mutex
	of map[firjob.JobID]timetable
}

type timetable struct {
	version int
	anchor  time.Time
	*firjob.Timetable
}

func (t *timetables) get(job firjob.Job, anchor time.Time) (*firjob.Timetable, error) {
	t.mu.Lock()
	have, ok := t.of[job.ID]
	t.mu.Unlock()
	if ok && have.version == job.Version && have.anchor.Equal(anchor) {
		return have.Timetable, nil
	}
	made, err := job.Timetable(anchor)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of == nil || len(t.of) >= maxTimetables {
		t.of = make(map[firjob.JobID]timetable)
	}
	t.of[job.ID] = timetable{job.Version, anchor, made}
	return made, nil
}
