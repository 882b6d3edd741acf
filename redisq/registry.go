package redisq

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// startForm has a fixed width, so that the beat script can compare two starts
// as text.
const startForm = "2006-01-02T15:04:05.000Z"

// Beat writes an executor and its beat; LastBeat is ignored, for Redis's clock
// says. A late beat, of an incarnation that started before another that has
// its place and still beats, changes nothing and is no error.
func (c *Client) Beat(ctx context.Context, e firjob.Executor) error {
	if err := checkApp(e.App); err != nil {
		return fmt.Errorf("beat executor: %w", err)
	}
	labels, err := labelsText(e.Labels)
	if err != nil {
		return fmt.Errorf("beat executor: %w", err)
	}
	_, err = c.runOne(ctx, c.lua.Beat, c.executorKeys(e.Key()),
		e.Address, e.Incarnation, startText(e.StartedAt), e.Version,
		e.Capacity, e.Queue, e.Running, string(e.State), labels, firjob.DeadAfter.Milliseconds())
	return c.failed(err, "beat executor %s of %s to redis", e.Address, e.App)
}

// labelsText writes labels as the hash holds them: a JSON object, "" for none.
func labelsText(labels map[string]string) (string, error) {
	if len(labels) == 0 {
		return "", nil
	}
	text, err := json.Marshal(labels)
	return string(text), err
}

// startText writes a start as all servers can read it. An executor whose clock
// says a year of five digits has started at the end of the last of four.
func startText(at time.Time) string {
	last := time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	if first := (time.Time{}); at.Before(first) {
		return first.Format(startForm)
	}
	if at.After(last) {
		return last.Format(startForm)
	}
	return at.UTC().Format(startForm)
}

// Leave removes an executor, unless another incarnation has its place. One that
// is not there is no error.
func (c *Client) Leave(ctx context.Context, e firjob.ExecutorKey) error {
	if err := checkApp(e.App); err != nil {
		return fmt.Errorf("remove executor: %w", err)
	}
	_, err := c.runOne(ctx, c.lua.Leave, c.executorKeys(e), e.Address, e.Incarnation)
	return c.failed(err, "remove executor %s of %s from redis", e.Address, e.App)
}

func (c *Client) executorKeys(e firjob.ExecutorKey) []string {
	return []string{c.keys.beats(e.App), c.keys.executor(e.App, e.Address)}
}

// Executors returns every executor of every given app that beat within maxAge,
// app by app, with LastBeat by Redis's clock and Age since then. Hashes live a
// minute after the last beat, so that a maxAge beyond that means a minute. On
// error nothing is returned.
func (c *Client) Executors(ctx context.Context, apps []string, maxAge time.Duration) ([]ports.Alive, error) {
	beats, err := c.beats(ctx, apps, maxAge)
	if err != nil || len(beats) == 0 {
		return nil, c.failed(err, "list executors in redis")
	}
	hashes := make([]*redis.MapStringStringCmd, len(beats))
	err = c.exec(ctx, func(p redis.Pipeliner) {
		for i, b := range beats {
			hashes[i] = p.HGetAll(ctx, c.keys.executor(b.App, b.Address))
		}
	})
	if err != nil {
		return nil, c.failed(err, "read executors in redis")
	}
	return c.readExecutors(ctx, beats, hashes), nil
}

// beats lists who beat within maxAge; the rest of each executor is still to be
// read.
func (c *Client) beats(ctx context.Context, apps []string, maxAge time.Duration) ([]ports.Alive, error) {
	calls := make([]call, len(apps))
	for i, app := range apps {
		if err := checkApp(app); err != nil {
			return nil, err
		}
		calls[i] = call{script: c.lua.Executors, keys: []string{c.keys.beats(app)}, args: []any{maxAge.Milliseconds()}}
	}
	if err := c.run(ctx, calls); err != nil {
		return nil, err
	}
	var list []ports.Alive
	for i, k := range calls {
		r := k.reply()
		for j := 1; j+1 < len(r); j += 2 {
			ms, _ := r.score(j + 1)
			list = append(list, ports.Alive{
				Executor: firjob.Executor{App: apps[i], Address: r.text(j), LastBeat: time.UnixMilli(int64(ms)).UTC()},
				Age:      max(0, time.Duration(r.number(0)-int64(ms))*time.Millisecond),
			})
		}
	}
	return list, nil
}

// readExecutors completes the beats by their hashes. One without a hash has
// left in between; one whose hash is not of our writing is removed, hash and
// all, so that its next beat writes it anew.
func (c *Client) readExecutors(ctx context.Context, beats []ports.Alive,
	hashes []*redis.MapStringStringCmd) []ports.Alive {
	whole := beats[:0]
	var strange []unknownIDs
	for i, b := range beats {
		fields := hashes[i].Val()
		if len(fields) == 0 {
			continue
		}
		if err := readFields(&b.Executor, fields); err != nil {
			strange = append(strange, unknownIDs{key: c.keys.beats(b.App), members: []any{b.Address},
				with: c.keys.executor(b.App, b.Address), why: err})
			continue
		}
		whole = append(whole, b)
	}
	c.discard(ctx, strange)
	return whole
}

func readFields(e *firjob.Executor, fields map[string]string) (err error) {
	e.Incarnation = fields["incarnation"]
	e.Version = fields["version"]
	e.State = firjob.ExecutorState(fields["state"])
	if e.Incarnation == "" || !slices.Contains(firjob.ExecutorStates(), e.State) {
		return fmt.Errorf("executor %s of %s has no incarnation or no state", e.Address, e.App)
	}
	if e.StartedAt, err = time.Parse(time.RFC3339, fields["started_at"]); err != nil {
		return fmt.Errorf("started_at: %w", err)
	}
	if labels := fields["labels"]; labels != "" {
		if err := json.Unmarshal([]byte(labels), &e.Labels); err != nil {
			return fmt.Errorf("labels: %w", err)
		}
	}
	for name, into := range map[string]*int{"capacity": &e.Capacity, "queue": &e.Queue, "running": &e.Running} {
		if *into, err = strconv.Atoi(fields[name]); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}
