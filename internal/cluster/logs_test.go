package cluster_test

import (
	"bufio"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/cluster"
)

func (x *fakeExecutor) start(a firjob.AttemptRef) bool {
	x.s.t.Helper()
	var reply firjob.StartReply
	body := firjob.Start{App: x.app, Address: x.beat.Address, Incarnation: "one", Attempts: []firjob.AttemptRef{a}}
	if status := x.call(firjob.PathStart, body, &reply); status != http.StatusOK {
		x.s.t.Fatalf("start: status %d", status)
	}
	return len(reply.Granted) == 1 && reply.Granted[0]
}

// say reports lines of log, from a number on, and progress.
func (x *fakeExecutor) say(a firjob.AttemptRef, first int, texts ...string) {
	x.s.t.Helper()
	chunk := firjob.LogChunk{AttemptRef: a, First: int64(first)}
	for _, text := range texts {
		chunk.Lines = append(chunk.Lines, firjob.LogLine{At: time.Now(), Level: "INFO", Text: text})
	}
	body := firjob.Report{App: x.app, Address: x.beat.Address, Incarnation: "one", Logs: []firjob.LogChunk{chunk},
		Progress: []firjob.ProgressEntry{{AttemptRef: a, Percent: min(first*10, 100)}}}
	if status := x.call(firjob.PathReport, body, nil); status != http.StatusOK {
		x.s.t.Fatalf("report: status %d", status)
	}
}

// followed is a log that is followed at one server.
type followed struct {
	t     *testing.T
	lines *bufio.Scanner
	last  string // id of the last line
}

func (s *stage) follow(at *cluster.Process, id firjob.ExecutionID, after string) *followed {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "http://"+at.Addr+"/api/v1/executions/"+id.String()+"/logs?follow=1", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.AdminToken)
	if after != "" {
		req.Header.Set("Last-Event-ID", after)
	}
	resp, err := (&http.Client{Transport: s.http.Transport}).Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = resp.Body.Close() })
	if resp.StatusCode != http.StatusOK {
		s.t.Fatalf("follow: %s", resp.Status)
	}
	return &followed{t: s.t, lines: bufio.NewScanner(resp.Body), last: after}
}

// want reads until the data of an event holds text; "" waits for the stream's end.
func (f *followed) want(text string) {
	f.t.Helper()
	for f.lines.Scan() {
		line := f.lines.Text()
		if id, ok := strings.CutPrefix(line, "id: "); ok {
			f.last = id
		}
		if text != "" && strings.HasPrefix(line, "data: ") && strings.Contains(line, text) {
			return
		}
	}
	if text != "" {
		f.t.Fatalf("the stream ended before %q: %v", text, f.lines.Err())
	}
}

// A log is followed at one server and, when that stops, at another one, where it
// goes on after the last line.
func TestALogIsFollowedAcrossServers(t *testing.T) {
	s := newStage(t, cluster.Options{Servers: 2, Workers: 1})
	x := s.newFakeExecutor("by-hand")
	x.sendBeat()
	job := s.create(map[string]any{"app": "by-hand", "name": "job", "handler": "any", "schedule": map[string]any{"kind": "manual"}})
	var e firjob.Execution
	s.mustCall(http.StatusCreated, http.MethodPost, jobPath(job.ID, "/trigger"), nil, &e)
	a := ref(x.next())
	x.sendBeat(a)

	f := s.follow(s.Servers[1], e.ID, "")
	x.say(a, 1, "one", "two")
	f.want(`"text":"two"`)
	var stopping sync.WaitGroup
	defer stopping.Wait()
	stopped := time.Now()
	stopping.Go(func() { _ = s.Servers[1].Stop(t.Context()) })
	f.want("")
	if took := time.Since(stopped); took > 2*time.Second {
		t.Errorf("the stream ended %v after the server was told to stop, want at once", took)
	}
	x.sendBeat(a)
	x.say(a, 3, "three")
	f = s.follow(s.Servers[0], e.ID, f.last)
	f.want(`"text":"three"`)
	if f.last != fmt.Sprintf("%d-3", a.Token) {
		t.Errorf("went on at %s, want at line 3", f.last)
	}
	f.want(`"percent":30`)
	if status := x.callback(a, firjob.OutcomeSucceeded); status != http.StatusOK {
		t.Errorf("callback: status %d", status)
	}
	x.say(a, 4, "the last words")
	f.want("the last words")
	f.want(`"state":"succeeded"`)
	f.want("")
	if p := s.execution(e.ID).Progress; p == nil || p.Percent != 40 {
		t.Errorf("progress %+v, want the 40 %% of its last words", p)
	}
}

// While an executor that began an exclusive attempt cannot be reached, nobody
// else begins it before its lease has ended.
func TestExclusiveAttemptsOutwaitTheirLease(t *testing.T) {
	s := newStage(t, cluster.Options{Servers: 2, Workers: 1})
	x := s.newFakeExecutor("by-hand")
	x.sendBeat()
	job := s.create(map[string]any{"app": "by-hand", "name": "job", "handler": "any", "exclusive": true, "overlap": "skip",
		"schedule": map[string]any{"kind": "manual"}})
	s.mustCall(http.StatusCreated, http.MethodPost, jobPath(job.ID, "/trigger"), nil, nil)
	first := x.next()
	asked := time.Now()
	if !first.Exclusive || !x.start(ref(first)) || !x.start(ref(first)) {
		t.Fatalf("the trigger %+v was not granted, twice", first)
	}
	x.server.CloseClientConnections()
	x.server.Close() // nobody listens: without its lease it would be lost at once

	y := s.newFakeExecutor("spare") // only for its server
	y.app, y.secret, y.beat.App = x.app, x.secret, x.app
	again := func() (again firjob.Trigger) {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			y.sendBeat()
			select {
			case again = <-y.triggers:
				return again
			case <-tick.C:
			}
			if time.Since(asked) > 40*time.Second {
				t.Fatal("no second attempt within 40 s")
			}
		}
	}()
	// The lease of 10 s is counted by Postgres from the start on.
	if waited := time.Since(asked); waited < 10*time.Second || again.Token <= first.Token {
		t.Errorf("token %d followed %d after %v, want a higher one after the lease of 10 s", again.Token, first.Token, waited)
	}
	if x.start(ref(first)) || !y.start(ref(again)) {
		t.Error("want the new attempt to begin, and the old one not to")
	}
}
