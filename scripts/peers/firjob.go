package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/cluster"
)

func firjobContender() contender {
	return contender{
		Name:     "fir-job",
		Module:   "github.com/firjob/firjob",
		Postgres: true,
		Redis:    true,
		Settings: []string{
			"servers and executors with their defaults, any number of each",
			"jobs: misfire fire_all, at_least_once, retry of 5 attempts from 1s",
		},
		Promise: "Promises each fire recorded once and sent at least once, at most one current token, and that Redis " +
			"may be lost.",
		make: func(s size) system { return &firjobSystem{size: s} },
	}
}

// firjobSystem is a cluster of servers behind a balancer, and executors.
type firjobSystem struct {
	size    size
	cluster *cluster.Cluster
	http    http.Client
	tasks   firjob.JobID // the job that tasks are triggers of
}

func (s *firjobSystem) start(ctx context.Context, r *rig, ticks []tick) (err error) {
	s.http.Timeout = 10 * time.Second
	s.cluster, err = cluster.Start(ctx, cluster.Options{
		Stores:    cluster.Stores{DatabaseURL: r.databaseURL(), RedisURL: r.redisURL()},
		Servers:   s.size.schedulers,
		Workers:   s.size.workers,
		ServerEnv: []string{firjobEnv + "=" + r.firjob},
		WorkerEnv: []string{linesEnv + "=" + r.linesFile()},
		Output:    func(process, line string) { fmt.Fprintln(r.out, process, line) },
	})
	if err != nil {
		return err
	}
	if s.tasks, err = s.create(ctx, "tasks", map[string]any{"kind": "manual"}); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for _, t := range ticks {
		group.Go(func() error {
			_, err := s.create(ctx, t.Key, map[string]any{"kind": "cron", "expr": t.cronSeconds(), "timezone": "UTC"})
			return err
		})
	}
	return group.Wait()
}

func (s *firjobSystem) create(ctx context.Context, name string, schedule map[string]any) (firjob.JobID, error) {
	var job struct {
		ID firjob.JobID `json:"id"`
	}
	err := s.call(ctx, http.MethodPost, "/api/v1/jobs", map[string]any{
		"app": cluster.App, "name": name, "handler": "work", "params": work{Key: name}, "schedule": schedule,
		"misfire": map[string]any{"policy": "fire_all"},
		"retry":   map[string]any{"max_attempts": 5, "backoff": "1s"},
	}, &job)
	return job.ID, err
}

func (s *firjobSystem) stop(ctx context.Context) error {
	s.http.CloseIdleConnections()
	if s.cluster == nil {
		return nil
	}
	return s.cluster.Stop(ctx)
}

func (s *firjobSystem) submit(ctx context.Context, list []task) (ids []string, err error) {
	for _, t := range list {
		trigger := map[string]any{"params": workOf(t)}
		if !t.Due.IsZero() {
			trigger["at"] = t.Due.UTC().Format(time.RFC3339Nano)
		}
		var e struct {
			ID string `json:"id"`
		}
		if err := s.call(ctx, http.MethodPost, fmt.Sprintf("/api/v1/jobs/%d/trigger", s.tasks), trigger,
			&e); err != nil {
			return ids, err
		}
		ids = append(ids, e.ID)
	}
	return ids, nil
}

func (s *firjobSystem) done(ctx context.Context, id string) (bool, error) {
	var e struct {
		State firjob.State `json:"state"`
	}
	err := s.call(ctx, http.MethodGet, "/api/v1/executions/"+id, nil, &e)
	return e.State == firjob.StateSucceeded, err
}

// open counts executions that run, or were due and are still planned.
func (s *firjobSystem) open(ctx context.Context) (n int, err error) {
	now := time.Now().UTC().Format(time.RFC3339)
	for _, filter := range []string{"state=running", "state=planned&until=" + now} {
		var list struct {
			Items []struct{} `json:"items"`
		}
		if err := s.call(ctx, http.MethodGet, "/api/v1/executions?page_size=100&"+filter, nil, &list); err != nil {
			return n, err
		}
		n += len(list.Items)
	}
	return n, nil
}

func (s *firjobSystem) schedulers() []member { return members(s.cluster.Servers) }

func (s *firjobSystem) workers() []member { return members(s.cluster.Workers) }

func (s *firjobSystem) leader(context.Context) (member, error) { return nil, nil }

func (s *firjobSystem) answering() []member { return s.schedulers() }

// call sends a request to the API through the balancer.
func (s *firjobSystem) call(ctx context.Context, method, path string, body, reply any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, s.cluster.URL()+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+s.cluster.AdminToken)
	resp, err := s.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return errors.New(resp.Status + ": " + string(answer))
	}
	return json.Unmarshal(answer, reply)
}
