package worker_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/worker"
)

// said is what reports have told of one attempt, put together as a server does.
type said struct {
	lines    map[int64]firjob.LogLine
	progress []firjob.ProgressEntry
}

// hear takes reports until fits does.
func hear(t *testing.T, s *fakeServer, what string, fits func(map[firjob.AttemptRef]*said) bool) map[firjob.AttemptRef]*said {
	t.Helper()
	heard := make(map[firjob.AttemptRef]*said)
	of := func(ref firjob.AttemptRef) *said {
		if heard[ref] == nil {
			heard[ref] = &said{lines: make(map[int64]firjob.LogLine)}
		}
		return heard[ref]
	}
	for !fits(heard) {
		rp := await(t, s.reports, what)
		for _, chunk := range rp.Logs {
			for i, line := range chunk.Lines {
				of(chunk.AttemptRef).lines[chunk.First+int64(i)] = line
			}
		}
		for _, p := range rp.Progress {
			of(p.AttemptRef).progress = append(of(p.AttemptRef).progress, p)
		}
	}
	return heard
}

func lines(n int) func(map[firjob.AttemptRef]*said) bool {
	return func(heard map[firjob.AttemptRef]*said) bool {
		for _, one := range heard {
			if n -= len(one.lines); n <= 0 {
				return true
			}
		}
		return false
	}
}

// What a handler logs goes to the worker's own log and to the server.
func TestLogGoesToBothSides(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	log, own := captureLog()
	w := start(t, s, worker.Options{Log: log}, map[string]worker.Handler{
		"it": func(_ context.Context, task *worker.Task) error {
			task.Log().Debug("too fine")
			task.Log().Info("read", "rows", 3, "from", errors.New("a copy"))
			task.Log().With("table", "users").WithGroup("db").Warn("slow", "took", 2*time.Second)
			return nil
		},
	})
	tr := newTrigger(1, "it")
	before := time.Now()
	send(t, s, w, tr)
	got := hear(t, s, "two lines", lines(2))[ref(tr)]
	for n, want := range []firjob.LogLine{
		{Level: "INFO", Text: "read", Attrs: []byte(`{"rows":3,"from":"a copy"}`)},
		{Level: "WARN", Text: "slow", Attrs: []byte(`{"table":"users","db":{"took":"2s"}}`)},
	} {
		line := got.lines[int64(n+1)]
		if line.At.Before(before.Add(-time.Second)) || line.At.After(time.Now().Add(time.Second)) {
			t.Errorf("line %d was said at %v", n+1, line.At)
		}
		line.At = time.Time{}
		if diff := cmp.Diff(want, line); diff != "" {
			t.Errorf("line %d (-want +got):\n%s", n+1, diff)
		}
	}
	for _, want := range []string{"msg=read", "msg=slow"} {
		text := awaitMatch(t, own, want, func(l string) bool { return strings.Contains(l, want) })
		if !strings.Contains(text, "execution="+tr.ID.String()) || !strings.Contains(text, "attempt=1") {
			t.Errorf("the worker's own line does not say whose it is: %s", text)
		}
	}
}

func TestLogLevelIsTheServersOnly(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	log, own := captureLog() // from Info on
	w := start(t, s, worker.Options{Log: log, LogLevel: slog.LevelDebug}, map[string]worker.Handler{
		"it": func(_ context.Context, task *worker.Task) error {
			task.Log().Debug("fine")
			task.Log().Info("coarse")
			return nil
		},
	})
	tr := newTrigger(1, "it")
	send(t, s, w, tr)
	got := hear(t, s, "both lines", lines(2))[ref(tr)]
	if got.lines[1].Text != "fine" || got.lines[1].Level != "DEBUG" {
		t.Errorf("first line %+v", got.lines[1])
	}
	awaitMatch(t, own, "the coarse line", func(l string) bool {
		if strings.Contains(l, "fine") {
			t.Errorf("the worker's own log has %s", l)
		}
		return strings.Contains(l, "coarse")
	})
}

// The last words come with the end of the handler, not half a second later, and
// the stack of a panic is among them.
func TestLastWordsAreSentAtTheEnd(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	w := start(t, s, worker.Options{}, map[string]worker.Handler{
		"it": func(_ context.Context, task *worker.Task) error {
			for percent := range 100 {
				task.Progress(percent, "")
			}
			task.Progress(200, strings.Repeat("é", firjob.MaxNote))
			panic("oh")
		},
	})
	tr := newTrigger(1, "it")
	send(t, s, w, tr)
	got := hear(t, s, "the stack", lines(1))[ref(tr)]
	if text := got.lines[1]; text.Level != "ERROR" || !strings.Contains(string(text.Attrs), `"panic":"oh"`) || !strings.Contains(string(text.Attrs), "log_test.go") {
		t.Errorf("said %+v", text)
	}
	last := got.progress[len(got.progress)-1]
	if last.Percent != 100 || len(last.Note) > firjob.MaxNote || !strings.HasSuffix(last.Note, "é…") {
		t.Errorf("the last progress is %+v", last)
	}
	if len(got.progress) > 2 {
		t.Errorf("%d words about progress within an instant", len(got.progress))
	}
}

// Whoever has nothing to say costs no request.
func TestSilenceIsNotReported(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	w := start(t, s, worker.Options{}, map[string]worker.Handler{"ok": succeed})
	for n := range 10 {
		send(t, s, w, newTrigger(n, "ok"))
		await(t, s.results, "the result")
	}
	w.stop()
	if err := await(t, w.done, "the end"); err != nil {
		t.Errorf("Run: %v", err)
	}
	if len(s.reports) > 0 {
		t.Errorf("reported %+v", <-s.reports)
	}
}

// Logs that the server does not take cost no result, and hold up no end.
func TestResultsDoNotWaitForLogs(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusNotFound, http.StatusInternalServerError, http.StatusBadRequest, http.StatusServiceUnavailable} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			s := newFakeServer(t)
			var refused atomic.Int32
			s.onReport = func(firjob.Report) int { refused.Add(1); return status }
			w := start(t, s, worker.Options{}, map[string]worker.Handler{
				"it": func(_ context.Context, task *worker.Task) error {
					task.Log().Info("hello")
					task.Progress(50, "half")
					return nil
				},
			})
			for n := range 20 {
				send(t, s, w, newTrigger(n, "it"))
				if r := await(t, s.results, "the result"); r.Outcome != firjob.OutcomeSucceeded {
					t.Errorf("reported %+v", r)
				}
			}
			began := time.Now()
			w.stop()
			if err := await(t, w.done, "the end"); err != nil {
				t.Errorf("Run: %v", err)
			}
			if took := time.Since(began); refused.Load() == 0 || took >= 3*time.Second { // what results get at the most
				t.Errorf("%d reports were refused; the end took %v", refused.Load(), took)
			}
		})
	}
}

// A worker that ends sends what handlers have said until then.
func TestDrainSendsTheLogs(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	const tasks, each = 20, 50
	g := newGate()
	w := start(t, s, worker.Options{Concurrency: tasks}, map[string]worker.Handler{
		"it": func(ctx context.Context, task *worker.Task) error {
			err := g.run(ctx, task)
			for n := range each {
				task.Log().Info(fmt.Sprint(n + 1))
			}
			return err
		},
	})
	for n := range tasks {
		send(t, s, w, newTrigger(n, "it"))
		await(t, g.entered, "the handler")
	}
	w.stop()
	close(g.open)
	if err := await(t, w.done, "the end"); err != nil {
		t.Errorf("Run: %v", err)
	}
	for ref, one := range hear(t, s, "all lines", lines(tasks*each)) {
		for n := range each {
			if got := one.lines[int64(n+1)].Text; got != fmt.Sprint(n+1) {
				t.Errorf("line %d of %v is %q", n+1, ref, got)
			}
		}
	}
}
