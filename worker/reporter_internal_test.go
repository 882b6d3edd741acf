package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob"
)

// sentReport is one report that the test's reporter has sent.
type sentReport struct {
	at   time.Duration
	body string
	firjob.Report
}

// testReporter is a reporter whose reports take 10 ms and are answered by
// answer. It runs in the present bubble until stop.
type testReporter struct {
	*reporter
	sent []sentReport // all of them
	kept []sentReport // those that were answered
	stop func()
}

func startReporter(t *testing.T, answer func(n int, rp firjob.Report) error) *testReporter {
	t.Helper()
	begin := time.Now()
	r := &testReporter{}
	post := func(_ context.Context, report []*part) ([]firjob.AttemptRef, error) {
		body, err := reportBody("billing", "10.0.0.7:9999", "one", report)
		if err != nil || len(body) > firjob.MaxReportBody {
			t.Errorf("a report of %d bytes (%v)", len(body), err)
		}
		one := sentReport{at: time.Since(begin), body: string(body)}
		if err := json.Unmarshal(body, &one.Report); err != nil {
			t.Errorf("%.200s is no report: %v", body, err)
		}
		if len(one.Logs) > firjob.MaxBatch || len(one.Progress) > firjob.MaxBatch {
			t.Errorf("a report of %d chunks and %d words about progress", len(one.Logs), len(one.Progress))
		}
		r.sent = append(r.sent, one)
		n := len(r.sent)
		time.Sleep(10 * time.Millisecond)
		if err := answer(n, one.Report); err != nil {
			return nil, err
		}
		r.kept = append(r.kept, one)
		return nil, nil
	}
	r.reporter = newReporter(post, slog.LevelInfo, newServerClock(begin), slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); r.run(ctx) }()
	r.stop = func() {
		cancel()
		<-ended
	}
	return r
}

func takeAll(int, firjob.Report) error { return nil }

func (r *testReporter) task(n int) *Task {
	return &Task{ID: firjob.Fire(7, time.UnixMilli(int64(n))), Token: 1, base: slog.New(slog.DiscardHandler), reporter: r.reporter}
}

// waiting returns how many bytes, of how many attempts, wait to be sent.
func (r *testReporter) waiting() (size, attempts int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.size, len(r.queue)
}

// wait lets d pass and what then runs come to rest.
func wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// linesOf puts the lines of an attempt together, as a server does that stores a
// chunk once.
func (r *testReporter) linesOf(t *testing.T, task *Task) []string {
	t.Helper()
	var texts []string
	seen := make(map[int64]int)
	next := int64(1)
	for _, one := range r.kept {
		for _, c := range one.Logs {
			if c.ID != task.ID {
				continue
			}
			if n, again := seen[c.First]; again {
				if n != len(c.Lines) {
					t.Errorf("the chunk from line %d came with %d lines and with %d", c.First, n, len(c.Lines))
				}
				continue
			}
			if c.First != next {
				t.Errorf("a chunk from line %d comes after line %d", c.First, next-1)
			}
			seen[c.First], next = len(c.Lines), c.First+int64(len(c.Lines))
			for _, l := range c.Lines {
				texts = append(texts, l.Text)
			}
		}
	}
	return texts
}

func TestLinesWaitHalfASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startReporter(t, takeAll)
		defer r.stop()
		wait(time.Hour)
		one, two := r.task(1), r.task(2)
		one.Log().Info("a")
		wait(300 * time.Millisecond)
		two.Log().Info("b")
		one.Log().Info("c")
		wait(time.Hour)
		if len(r.sent) != 1 || r.sent[0].at != time.Hour+reportEvery || len(r.sent[0].Logs) != 2 {
			t.Fatalf("sent %+v", r.sent)
		}
		if got := r.linesOf(t, one); !slices.Equal(got, []string{"a", "c"}) {
			t.Errorf("lines %q", got)
		}
	})
}

// What a task said last leaves with its end, but a thousand ends in a second do
// not make a thousand reports.
func TestEndsAreReportedAtOnceButTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startReporter(t, takeAll)
		defer r.stop()
		wait(time.Minute)
		for n := range 1000 {
			task := r.task(n)
			task.Log().Info("done")
			task.hush()
			wait(time.Millisecond)
		}
		wait(time.Second)
		if r.sent[0].at != time.Minute {
			t.Errorf("the first end was reported %v late", r.sent[0].at-time.Minute)
		}
		if n := len(r.sent); n > 22 {
			t.Errorf("%d reports in a second", n)
		}
		total := 0
		for _, one := range r.sent {
			total += len(one.Logs)
		}
		if total != 1000 {
			t.Errorf("%d of 1000 lines", total)
		}
	})
}

func TestProgressIsToldOnceASecondAndAtTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startReporter(t, takeAll)
		defer r.stop()
		task := r.task(1)
		for percent := range 100 { // over ten seconds
			task.Progress(percent, fmt.Sprint("step ", percent))
			wait(100 * time.Millisecond)
		}
		task.Progress(100, "done")
		task.hush()
		wait(time.Minute)
		var at []time.Duration
		var last firjob.ProgressEntry
		for _, one := range r.sent {
			if len(one.Progress) != 1 {
				t.Fatalf("%d words in a report", len(one.Progress))
			}
			if last = one.Progress[0]; last.Note != fmt.Sprint("step ", last.Percent) && last.Percent != 100 {
				t.Errorf("progress %+v", last)
			}
			at = append(at, one.at)
		}
		if len(at) < 9 || len(at) > 12 {
			t.Errorf("told at %v", at)
		}
		for i := range at[:len(at)-2] {
			if at[i+1]-at[i] < progressEvery {
				t.Errorf("told at %v", at)
			}
		}
		if want := (firjob.ProgressEntry{AttemptRef: firjob.AttemptRef{ID: task.ID, Token: 1}, Percent: 100, Note: "done"}); last != want || at[len(at)-1] > 10100*time.Millisecond {
			t.Errorf("the last word was %+v at %v", last, at[len(at)-1])
		}
	})
}

func TestProgressIsHeldWithinBounds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startReporter(t, takeAll)
		defer r.stop()
		for n, percent := range []int{-1, 0, 100, 101} {
			r.task(n).Progress(percent, "a\x00\xff")
		}
		wait(time.Second)
		var got []int
		for _, p := range r.sent[0].Progress {
			got = append(got, p.Percent)
			if p.Note != "a\uFFFD\uFFFD" {
				t.Errorf("note %q", p.Note)
			}
		}
		if !slices.Equal(got, []int{0, 0, 100, 100}) {
			t.Errorf("percentages %v", got)
		}
	})
}

// A report without an answer is sent again as it was: a server that has it
// already finds the same chunks and stores none twice.
func TestReportsAreRepeatedAsTheyWere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startReporter(t, func(n int, _ firjob.Report) error {
			if n%3 != 0 {
				return errors.New("no answer")
			}
			return nil
		})
		defer r.stop()
		task := r.task(1)
		var want []string
		for n := range 100 {
			want = append(want, fmt.Sprint(n))
			task.Log().Info(want[n])
			wait(100 * time.Millisecond)
		}
		wait(time.Minute)
		for i, one := range r.sent {
			if i%3 != 0 && one.body != r.sent[i-1].body {
				t.Errorf("report %d is not repeated as it was", i)
			}
		}
		if got := r.linesOf(t, task); !slices.Equal(got, want) {
			t.Errorf("lines %q", got)
		}
	})
}

// A flush ends when all is sent, and no later than with the first failure.
func TestFlush(t *testing.T) {
	t.Parallel()
	for _, err := range []error{nil, errors.New("away")} {
		synctest.Test(t, func(t *testing.T) {
			r := startReporter(t, func(int, firjob.Report) error { return err })
			defer r.stop()
			task := r.task(1)
			task.Progress(1, "")
			task.Log().Info("a")
			wait(time.Second)
			task.Progress(2, "")
			task.Log().Info("b")
			began := time.Now()
			r.flush(t.Context())
			if took := time.Since(began); took > 10*time.Millisecond {
				t.Errorf("with answer %v the flush took %v", err, took)
			}
			if err != nil {
				return
			}
			if diff := cmp.Diff([]string{"a", "b"}, r.linesOf(t, task)); diff != "" || r.sent[1].Progress[0].Percent != 2 {
				t.Errorf("lines (-want +got):\n%s", diff)
			}
			began = time.Now()
			r.flush(t.Context())
			if took := time.Since(began); took != 0 {
				t.Errorf("with nothing to say the flush took %v", took)
			}
		})
	}
}

// A goroutine that a handler has left behind may speak at any time.
func TestNobodyHearsAfterTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startReporter(t, takeAll)
		task := r.task(1)
		log := task.Log()
		r.stop()
		log.Info("late")
		task.Progress(1, "late")
		task.hush()
		if size, _ := r.waiting(); size != 0 || len(r.sent) != 0 {
			t.Errorf("%d bytes are kept, %d reports sent", size, len(r.sent))
		}
	})
}

func TestFullLogIsToldOnce(t *testing.T) {
	t.Parallel()
	var own strings.Builder
	r := newReporter(nil, slog.LevelInfo, newServerClock(time.Now()), slog.New(slog.NewTextHandler(&own, &slog.HandlerOptions{Level: slog.LevelDebug})))
	r.post = func(_ context.Context, report []*part) ([]firjob.AttemptRef, error) {
		return []firjob.AttemptRef{report[0].said.ref}, nil
	}
	said := &stream{reporter: r}
	for range 3 {
		said.add(line{time.Now(), []byte("{}")})
		r.pass(t.Context())
	}
	if n := strings.Count(own.String(), "is full"); n != 1 {
		t.Errorf("said %d times: %s", n, own.String())
	}
}
