package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/cluster"
)

// client calls the API.
type client struct {
	base, token string
	prefer      string // of the answers to batches
	http        *http.Client
}

// callPatience bounds one request: a batch of ten thousand takes seconds.
const callPatience = 2 * time.Minute

func newClient(base, token string) *client {
	return &client{base: base, token: token, http: &http.Client{
		Timeout: callPatience, Transport: &http.Transport{MaxIdleConnsPerHost: 256, IdleConnTimeout: 5 * time.Second}}}
}

func (c *client) close() { c.http.CloseIdleConnections() }

// call sends a request and reads the answer into reply, which may be nil.
func (c *client) call(ctx context.Context, method, path string, body, reply any) error {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("If-Match", "*") // whatever version there is
	if c.prefer != "" {
		req.Header.Set("Prefer", c.prefer)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var answer bytes.Buffer
	answer.Grow(max(int(resp.ContentLength), bytes.MinRead))
	if _, err := answer.ReadFrom(resp.Body); err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s: %.500s", method, path, resp.Status, answer.Bytes())
	}
	if reply == nil {
		return nil
	}
	return json.Unmarshal(answer.Bytes(), reply)
}

// newJob is the body of a job to be made. A map would cost as much to write as the
// server takes to read it.
type newJob struct {
	App      string      `json:"app"`
	Name     string      `json:"name"`
	Handler  string      `json:"handler"`
	Schedule newSchedule `json:"schedule"`
	Misfire  newMisfire  `json:"misfire,omitzero"`
	Params   any         `json:"params,omitempty"`
	Enabled  bool        `json:"enabled"`
}

type newSchedule struct {
	Kind     firjob.ScheduleKind `json:"kind"`
	Interval firjob.Duration     `json:"interval,omitzero"`
	At       time.Time           `json:"at,omitzero"`
	StartAt  time.Time           `json:"start_at,omitzero"`
	EndAt    time.Time           `json:"end_at,omitzero"`
}

type newMisfire struct {
	Policy firjob.MisfirePolicy `json:"policy"`
}

// job is a job of the app that the executors serve, of which every fire must run.
func job(name, handler string, schedule newSchedule) newJob {
	return newJob{App: cluster.App, Name: name, Handler: handler, Schedule: schedule, Enabled: true,
		Misfire: newMisfire{firjob.MisfireFireAll}}
}

// eachMinute is the schedule of jobs that are paused.
func eachMinute() newSchedule {
	return newSchedule{Kind: firjob.ScheduleEvery, Interval: firjob.Duration(time.Minute)}
}

// maxItems is the largest batch that the API takes.
const maxItems = 10_000

// madeJob is what the API says of a job that it has made.
type madeJob struct {
	ID         firjob.JobID
	NextFireAt *time.Time `json:"next_fire_at"`
}

type newJobs struct {
	Jobs   []newJob `json:"jobs"`
	Atomic bool     `json:"atomic"`
}

// createMany makes n jobs by batches.
func (s *stage) createMany(ctx context.Context, n int, body func(i int) newJob) (jobs []madeJob, err error) {
	told := s.o.ticker()
	for len(jobs) < n {
		var bodies []newJob
		for i := len(jobs); i < min(n, len(jobs)+maxItems); i++ {
			bodies = append(bodies, body(i))
		}
		made, err := s.api.createBatch(ctx, bodies)
		if err != nil {
			return nil, err
		}
		jobs = append(jobs, made...)
		told.say("%d of %d jobs", len(jobs), n)
	}
	return jobs, nil
}

func (c *client) createBatch(ctx context.Context, bodies []newJob) (jobs []madeJob, err error) {
	var made struct{ Items []struct{ Job madeJob } }
	if err := c.call(ctx, "POST", "/api/v1/jobs:batch", newJobs{bodies, true}, &made); err != nil {
		return nil, err
	}
	if len(made.Items) != len(bodies) {
		return nil, fmt.Errorf("the server answers for %d jobs of a batch of %d", len(made.Items), len(bodies))
	}
	for _, item := range made.Items {
		jobs = append(jobs, item.Job)
	}
	return jobs, nil
}
