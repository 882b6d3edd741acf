package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/cluster"
)

// client calls the API.
type client struct {
	base, token string
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
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s: %.500s", method, path, resp.Status, answer)
	}
	if reply == nil {
		return nil
	}
	return json.Unmarshal(answer, reply)
}

// object is a body of the API.
type object = map[string]any

// job is the body of a new job of the app that the executors serve.
func job(name, handler string, schedule object) object {
	return object{"app": cluster.App, "name": name, "handler": handler, "schedule": schedule,
		"misfire": object{"policy": firjob.MisfireFireAll}}
}

// maxItems is the largest batch that the API takes.
const maxItems = 10_000

// createMany makes n jobs by batches and returns their numbers.
func (s *stage) createMany(ctx context.Context, n int, body func(i int) object) (ids []firjob.JobID, err error) {
	told := s.o.ticker()
	for len(ids) < n {
		var jobs []object
		for i := len(ids); i < min(n, len(ids)+maxItems); i++ {
			jobs = append(jobs, body(i))
		}
		made, err := s.createBatch(ctx, jobs)
		if err != nil {
			return nil, err
		}
		ids = append(ids, made...)
		told.say("%d of %d jobs", len(ids), n)
	}
	return ids, nil
}

func (s *stage) createBatch(ctx context.Context, jobs []object) (ids []firjob.JobID, err error) {
	var made struct {
		Failed int
		Items  []struct{ Job struct{ ID firjob.JobID } }
	}
	if err := s.api.call(ctx, "POST", "/api/v1/jobs:batch", object{"jobs": jobs, "atomic": true}, &made); err != nil {
		return nil, err
	}
	for _, item := range made.Items {
		ids = append(ids, item.Job.ID)
	}
	return ids, nil
}
