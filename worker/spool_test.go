package worker_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/worker"
)

// childEnv makes the test binary run a worker instead of tests. Its value is
// the server's URL and the spool, separated by a space.
const childEnv = "FIRJOB_TEST_WORKER"

func runChild() {
	server, spool, _ := strings.Cut(os.Getenv(childEnv), " ")
	w, err := worker.New(worker.Options{Server: server, App: app, Secret: secret, SpoolDir: spool})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	w.Handle("ok", func(_ context.Context, t *worker.Task) error { return t.SetResult(t.Token) })
	ctx, stop := context.WithCancel(context.Background())
	go func() { // whatever ends the test ends its child
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	if err := w.Run(ctx); err != nil {
		os.Exit(1)
	}
}

func TestSpoolOutlivesAKilledProcess(t *testing.T) {
	t.Parallel()
	const tasks = 300
	spool := t.TempDir()
	s := newFakeServer(t)
	var up atomic.Bool
	seen := make(chan firjob.Result, 1<<16)
	s.onCallback = func(cb firjob.Callback) (int, []firjob.Receipt) {
		if up.Load() {
			return http.StatusOK, receipts(cb, firjob.ReceiptRecorded)
		}
		for _, r := range cb.Results {
			seen <- r
		}
		return http.StatusServiceUnavailable, nil
	}
	child := startChild(t, s, spool)

	want := make(map[firjob.ExecutionID]string)
	triggers := make([]firjob.Trigger, tasks)
	for n := range triggers {
		triggers[n] = withToken(newTrigger(n, "ok"), int64(n+1))
		want[triggers[n].ID] = fmt.Sprint(n + 1)
	}
	for i := 0; i < tasks; i += 50 {
		for _, answer := range send(t, s, child, triggers[i:i+50]...) {
			if answer != firjob.Accepted {
				t.Fatalf("answered %s", answer)
			}
		}
	}
	for sent := make(map[firjob.ExecutionID]bool); len(sent) < tasks; {
		sent[await(t, seen, "a callback with each result").ID] = true
	}
	child.kill(t)
	tear(t, spool)

	up.Store(true)
	log, lines := captureLog()
	w := start(t, s, worker.Options{SpoolDir: spool, Log: log}, map[string]worker.Handler{"ok": succeed})
	got := make(map[firjob.ExecutionID]string)
	for len(got) < tasks {
		r := await(t, s.results, "each spooled result")
		got[r.ID] = string(r.Result)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("results of the killed process (-want +got):\n%s", diff)
	}
	awaitMatch(t, lines, "a word about the torn line", func(l string) bool { return strings.Contains(l, "torn") })
	if answers := send(t, s, w, triggers[0]); answers[0] != firjob.Accepted || len(s.results) > 0 {
		t.Errorf("a repeat of what was spooled: %v, %d results", answers, len(s.results))
	}
	w.stop()
	if err := await(t, w.done, "the end"); err != nil {
		t.Errorf("Run: %v", err)
	}
	if files, _ := filepath.Glob(filepath.Join(spool, "*.jsonl")); len(files) > 0 {
		t.Errorf("left over although all is acknowledged: %v", files)
	}
}

// child is a worker in a process of its own.
type child struct {
	address string
	cmd     *exec.Cmd
}

func (c *child) Addr() string { return c.address }

func startChild(t *testing.T, s *fakeServer, spool string) *child {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childEnv+"="+s.url+" "+spool)
	cmd.Stderr = os.Stderr
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return &child{address: await(t, s.beats, "the child's registration").Address, cmd: cmd}
}

// kill is kill -9.
func (c *child) kill(t *testing.T) {
	t.Helper()
	if err := c.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.cmd.Wait()
}

// tear adds half a line to the spool, as a process does that dies in a write.
func tear(t *testing.T, spool string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(spool, "*.jsonl"))
	if err != nil || len(files) == 0 {
		t.Fatalf("the killed process left %v (%v)", files, err)
	}
	f, err := os.OpenFile(files[len(files)-1], os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(`{"id":"018bcfe5-6800-8000-`); err != nil {
		t.Fatal(err)
	}
}

func TestSpoolBelongsToOneWorker(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	o := fill(t, s, worker.Options{})
	first, err := worker.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := worker.New(o); err == nil || !strings.Contains(err.Error(), "SpoolDir: ") || !strings.Contains(err.Error(), "another process uses it") {
		t.Errorf("a second worker on one spool: %v, %v", second, err)
	}
	first.Close()
	third, err := worker.New(o)
	if err != nil {
		t.Fatalf("after the first is closed: %v", err)
	}
	third.Close()
}

func TestDefaultSpools(t *testing.T) {
	state := t.TempDir()
	t.Setenv("XDG_STATE_HOME", state)
	s := newFakeServer(t)
	o := fill(t, s, worker.Options{})
	o.SpoolDir, o.App = "", "../a b"
	for range 2 {
		w, err := worker.New(o)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
	}
	entries, err := os.ReadDir(filepath.Join(state, "firjob"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if diff := cmp.Diff([]string{"..%2Fa%20b-any-0", "..%2Fa%20b-any-1"}, names); diff != "" {
		t.Errorf("folders (-want +got):\n%s", diff)
	}
}

func TestCallbacksAreRetriedUntilAcknowledged(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	statuses := make(chan int, 3)
	for _, status := range []int{http.StatusInternalServerError, http.StatusTooManyRequests, http.StatusBadGateway} {
		statuses <- status
	}
	s.onCallback = func(cb firjob.Callback) (int, []firjob.Receipt) {
		select {
		case status := <-statuses:
			return status, nil
		default:
			return http.StatusOK, receipts(cb, firjob.ReceiptDuplicate)
		}
	}
	w := start(t, s, worker.Options{}, map[string]worker.Handler{"ok": succeed})
	send(t, s, w, newTrigger(1, "ok"))
	await(t, s.results, "the result in spite of three failures")
	awaitMatch(t, s.beats, "a beat without it", func(b firjob.Beat) bool { return len(b.Holding) == 0 })
}

func TestConflictEndsEachItemByItsReceipt(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	g := newGate()
	s.onCallback = func(cb firjob.Callback) (int, []firjob.Receipt) {
		list := make([]firjob.Receipt, len(cb.Results))
		for i, r := range cb.Results {
			list[i] = []firjob.Receipt{firjob.ReceiptRecorded, firjob.ReceiptStale, firjob.ReceiptUnknown}[r.Token%3]
		}
		return http.StatusConflict, list
	}
	w := start(t, s, worker.Options{}, map[string]worker.Handler{"gate": g.run})
	for n := range 9 {
		send(t, s, w, withToken(newTrigger(n, "gate"), int64(n+1)))
	}
	close(g.open)
	for range 9 {
		await(t, s.results, "a result")
	}
	awaitMatch(t, s.beats, "an empty-handed beat", func(b firjob.Beat) bool { return len(b.Holding) == 0 })
	w.stop()
	if err := await(t, w.done, "the end"); err != nil {
		t.Errorf("Run: %v", err)
	}
	if len(s.results) > 0 {
		t.Errorf("%d results were sent again after a receipt", len(s.results))
	}
}

func TestUnacknowledgedResultsAreTold(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	s.onCallback = func(firjob.Callback) (int, []firjob.Receipt) { return http.StatusServiceUnavailable, nil }
	w := start(t, s, worker.Options{}, map[string]worker.Handler{"ok": succeed})
	send(t, s, w, newTrigger(1, "ok"))
	w.stop()
	if err := await(t, w.done, "the end"); err == nil || !strings.Contains(err.Error(), "1 results are not acknowledged") {
		t.Errorf("Run: %v", err)
	}
}

// captureLog returns a logger and the lines that it writes.
func captureLog() (*slog.Logger, <-chan string) {
	lines := make(lineChan, 1<<10)
	return slog.New(slog.NewTextHandler(lines, nil)), lines
}

type lineChan chan string

func (c lineChan) Write(line []byte) (int, error) {
	select {
	case c <- string(line):
	default:
	}
	return len(line), nil
}
