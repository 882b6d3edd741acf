package cluster_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/cluster"
	"github.com/firjob/firjob/lab/checker"
)

// binary is the program under test, built once.
var binary string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "firjob-binary-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "firjob")
	if out, err := exec.Command("go", "build", "-o", binary, "../../cmd/firjob-lab").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the program under test: %v\n%s", err, out)
		return 1
	}
	code := m.Run()
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// stage is a cluster under load, and what its executors saw.
type stage struct {
	*cluster.Cluster
	t        *testing.T
	history  string
	http     *http.Client
	interval time.Duration
	first    map[firjob.JobID]time.Time // each job's first fire
}

func newStage(t *testing.T, o cluster.Options) *stage {
	t.Helper()
	t.Parallel()
	s := &stage{t: t, history: filepath.Join(t.TempDir(), "history"), first: make(map[firjob.JobID]time.Time),
		http: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{}}}
	o.Binary = binary
	o.WorkerEnv = append(o.WorkerEnv, "FIRJOB_HISTORY="+s.history, "FIRJOB_DRAIN_TIMEOUT=5s")
	o.Output = func(process, line string) { t.Logf("%s  %s %s", time.Now().Format("15:04:05.000"), process, line) }
	var err error
	if s.Cluster, err = cluster.Start(t.Context(), o); err != nil {
		t.Fatalf("start the cluster: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Errorf("stop the cluster: %v", err)
		}
		s.http.CloseIdleConnections()
	})
	return s
}

// call asks the API and decodes the answer into reply, which may be nil. It
// returns the status.
func (s *stage) call(method, path string, body, reply any) int {
	s.t.Helper()
	return s.callAt(s.URL(), method, path, "Bearer "+s.AdminToken, body, reply)
}

func (s *stage) callAt(base, method, path, auth string, body, reply any) int {
	s.t.Helper()
	var text bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&text).Encode(body); err != nil {
			s.t.Fatal(err)
		}
	}
	req, err := http.NewRequestWithContext(s.t.Context(), method, base+path, &text)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", auth)
	req.Header.Set("If-Match", "*") // whatever version there is
	resp, err := s.http.Do(req)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	if reply != nil && resp.StatusCode < 300 {
		if err := json.Unmarshal(answer, reply); err != nil {
			s.t.Fatalf("%s %s answered %s: %v", method, path, answer, err)
		}
	}
	if resp.StatusCode >= 300 {
		s.t.Logf("%s %s: %d %s", method, path, resp.StatusCode, answer)
	}
	return resp.StatusCode
}

// load makes n jobs that fire every interval. All late fires run, so that none
// may be missing in the end.
func (s *stage) load(n int, interval time.Duration, handler string, params any) {
	s.t.Helper()
	s.interval = interval
	for i := range n {
		job := s.create(map[string]any{
			"app": cluster.App, "name": fmt.Sprintf("load-%d", i), "handler": handler, "params": params,
			"schedule": map[string]any{"kind": "every", "interval": interval.String()},
			"misfire":  map[string]any{"policy": "fire_all"},
		})
		if job.NextFireAt == nil {
			s.t.Fatalf("job %d has no next fire", job.ID)
		}
		s.first[job.ID] = *job.NextFireAt
	}
}

func (s *stage) create(body map[string]any) (job firjob.Job) {
	s.t.Helper()
	if status := s.call(http.MethodPost, "/api/v1/jobs", body, &job); status != http.StatusCreated {
		s.t.Fatalf("make a job: status %d", status)
	}
	return job
}

// run lets the load run for d.
func (s *stage) run(d time.Duration) {
	s.t.Helper()
	select {
	case <-time.After(d):
	case <-s.t.Context().Done():
		s.t.Fatal("the test was cut off")
	}
}

// executions returns every execution of a job.
func (s *stage) executions(job firjob.JobID) []firjob.Execution {
	s.t.Helper()
	var all []firjob.Execution
	query := url.Values{"job": {fmt.Sprint(job)}, "page_size": {"500"}}
	for {
		var page struct {
			Items         []firjob.Execution `json:"items"`
			NextPageToken string             `json:"next_page_token"`
		}
		if status := s.call(http.MethodGet, "/api/v1/executions?"+query.Encode(), nil, &page); status != http.StatusOK {
			s.t.Fatalf("list executions: status %d", status)
		}
		all = append(all, page.Items...)
		if page.NextPageToken == "" {
			return all
		}
		query.Set("page_token", page.NextPageToken)
	}
}

// starts returns the starts of handlers by execution, in the order of their time.
func (s *stage) starts() map[firjob.ExecutionID][]checker.Event {
	s.t.Helper()
	starts := make(map[firjob.ExecutionID][]checker.Event)
	for _, e := range s.events() {
		if e.Kind == checker.KindStart {
			starts[e.Execution] = append(starts[e.Execution], e)
		}
	}
	return starts
}

// events returns what handlers did, as their processes wrote it down.
func (s *stage) events() []checker.Event {
	s.t.Helper()
	file, err := os.Open(s.history)
	if errors.Is(err, os.ErrNotExist) {
		return nil // no worker has begun to write
	}
	if err != nil {
		s.t.Fatalf("read the executors' history: %v", err)
	}
	defer file.Close()
	list, err := checker.Read(file)
	if err != nil {
		s.t.Fatal(err)
	}
	return list
}

// recovery is how soon after a fault has healed everything must be done.
const recovery = 5 * time.Second

// verify asserts, from Postgres and from what the executors saw, that every
// fire between the two instants is recorded once and was run, with growing
// tokens and none early, and that whatever the fault held up was started
// within the recovery time of its healing.
func (s *stage) verify(from, until, healed time.Time) {
	s.t.Helper()
	s.settle(until)
	starts := s.starts()
	fires, repeated, worst := 0, 0, time.Duration(0)
	for job, first := range s.first {
		records := make(map[int64]firjob.Execution)
		for _, e := range s.executions(job) {
			if _, twice := records[e.ScheduledAt.UnixMilli()]; twice {
				s.t.Errorf("job %d: the fire of %v is recorded twice", job, e.ScheduledAt)
			}
			records[e.ScheduledAt.UnixMilli()] = e
		}
		for at := first; at.Before(until); at = at.Add(s.interval) {
			if at.Before(from) {
				continue
			}
			fires++
			e, recorded := records[at.UnixMilli()]
			if !recorded || e.State != firjob.StateSucceeded {
				s.t.Errorf("job %d: the fire of %v is recorded %v as %q (%s), want succeeded", job, at, recorded, e.State, e.Reason)
				continue
			}
			seen := starts[e.ID]
			if len(seen) == 0 {
				s.t.Errorf("job %d: the fire of %v is recorded as succeeded, but no executor has run it", job, at)
				continue
			}
			repeated += len(seen) - 1
			s.checkStarts(seen, at)
			due := at
			if due.Before(healed) {
				due = healed
			}
			worst = max(worst, seen[0].Wall.Sub(due))
		}
	}
	s.t.Logf("%d fires, %d handlers started again, the latest first start %v after it could be", fires, repeated, worst.Round(time.Millisecond))
	if worst > recovery {
		s.t.Errorf("some fire was started %v after its time and the healing of the fault, want at most %v", worst, recovery)
	}
	if fires == 0 {
		s.t.Error("no fire was checked: the test shows nothing")
	}
}

func (s *stage) checkStarts(seen []checker.Event, at time.Time) {
	s.t.Helper()
	for i, e := range seen {
		if e.Wall.Before(at) {
			s.t.Errorf("the fire of %v was started early, at %v", at, e.Wall)
		}
		if i > 0 && e.Token <= seen[i-1].Token {
			s.t.Errorf("the fire of %v was started with token %d and then with %d; tokens must grow", at, seen[i-1].Token, e.Token)
		}
	}
}

// settle waits until every execution that was due before the instant is final.
func (s *stage) settle(until time.Time) {
	s.t.Helper()
	s.until(30*time.Second, "every execution is final", func() bool {
		for job := range s.first {
			for _, e := range s.executions(job) {
				if !e.State.Final() && e.ScheduledAt.Before(until) {
					return false
				}
			}
		}
		return true
	})
}

// until polls for something that other processes bring about.
func (s *stage) until(patience time.Duration, what string, done func() bool) {
	s.t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		if time.Now().After(deadline) {
			s.t.Errorf("waited %v in vain until %s", patience, what)
			return
		}
		<-tick.C
	}
}
