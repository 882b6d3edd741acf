package worker

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firjob/firjob"
)

// post is one callback that the test's outbox has sent.
type post struct {
	at    time.Duration
	batch []*item
	taken bool
}

// testOutbox is an outbox whose callbacks take 10 ms and are answered by answer.
// It runs in the present bubble until stop.
type testOutbox struct {
	*outbox
	posts []post
	acked []firjob.AttemptRef
	stop  func()
}

func startOutbox(t *testing.T, answer func(n int, batch []*item) error) *testOutbox {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	s, left, err := openSpool(t.TempDir(), log)
	if err != nil {
		t.Fatal(err)
	}
	o := &testOutbox{outbox: newOutbox(s, left, log)}
	o.acknowledge = func(refs []firjob.AttemptRef) { o.acked = append(o.acked, refs...) }
	begin := time.Now()
	o.post = func(ctx context.Context, batch []*item) ([]firjob.Receipt, error) {
		o.mu.Lock()
		o.posts = append(o.posts, post{at: time.Since(begin), batch: batch})
		n := len(o.posts)
		o.mu.Unlock()
		time.Sleep(10 * time.Millisecond)
		err := answer(n, batch)
		o.mu.Lock()
		defer o.mu.Unlock()
		o.posts[n-1].taken = err == nil
		return slices.Repeat([]firjob.Receipt{firjob.ReceiptRecorded}, len(batch)), err
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); o.run(ctx) }()
	o.stop = func() {
		cancel()
		<-ended
		if err := s.close(); err != nil {
			t.Errorf("close the spool: %v", err)
		}
	}
	return o
}

func (o *testOutbox) addMany(n int) {
	for i := range n {
		o.add(firjob.Result{ID: firjob.Fire(7, time.UnixMilli(int64(i))), Token: 1, Outcome: firjob.OutcomeSucceeded})
	}
}

// taken returns what was in a callback that was not refused.
func (o *testOutbox) taken() map[firjob.ExecutionID]bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	taken := make(map[firjob.ExecutionID]bool)
	for _, p := range o.posts {
		if !p.taken {
			continue
		}
		for _, it := range p.batch {
			taken[it.ref.ID] = true
		}
	}
	return taken
}

func (o *testOutbox) flushed(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	if n := o.flush(ctx); n != 0 {
		t.Fatalf("%d results are left after an hour", n)
	}
}

func TestLoneResultLeavesAtOnceAndOthersGather(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := startOutbox(t, func(int, []*item) error { return nil })
		defer o.stop()
		o.addMany(1)
		synctest.Wait()
		o.addMany(40)
		synctest.Wait()
		o.addMany(20)
		o.flushed(t)
		if len(o.posts) != 2 || o.posts[0].at != 0 || len(o.posts[1].batch) != 60 || o.posts[1].at != 10*time.Millisecond {
			t.Errorf("callbacks: %v", summary(o.posts))
		}
	})
}

func TestBacklogLeavesInSeveralFullCallbacks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := startOutbox(t, func(int, []*item) error { return nil })
		defer o.stop()
		o.addMany(6 * firjob.MaxBatch)
		o.flushed(t)
		together := 0
		for _, p := range o.posts {
			if len(p.batch) > firjob.MaxBatch {
				t.Errorf("a callback of %d", len(p.batch))
			}
			if p.at == 0 {
				together++
			}
		}
		if together != maxInFlight {
			t.Errorf("%d callbacks at a time, want %d: %v", together, maxInFlight, summary(o.posts))
		}
	})
}

func summary(posts []post) (text []string) {
	for _, p := range posts {
		text = append(text, p.at.String()+":"+strings.Repeat("#", min(len(p.batch), 70)))
	}
	return text
}

func TestCallbacksBackOff(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		err      error
		min, max time.Duration // between the first four callbacks
	}{
		{"network", errors.New("reset"), 50 * time.Millisecond, 410 * time.Millisecond},
		{"busy", &statusError{status: http.StatusServiceUnavailable}, 50 * time.Millisecond, 410 * time.Millisecond},
		{"asked to wait", &statusError{status: http.StatusTooManyRequests, after: 7 * time.Second}, 7 * time.Second, 8 * time.Second},
		{"asked to wait for ever", &statusError{status: http.StatusTooManyRequests, after: 24 * time.Hour}, longestAfter, longestAfter + time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := startOutbox(t, func(n int, _ []*item) error {
					if n < 4 {
						return test.err
					}
					return nil
				})
				defer o.stop()
				o.addMany(50) // too few for a second callback beside the first
				o.flushed(t)
				for i := range 3 {
					wait := o.posts[i+1].at - o.posts[i].at - 10*time.Millisecond
					if wait < test.min || wait > test.max {
						t.Errorf("%v after failure %d; want %v to %v", wait, i+1, test.min, test.max)
					}
				}
				if len(o.acked) != 50 {
					t.Errorf("%d acknowledged", len(o.acked))
				}
			})
		})
	}
}

// A refused credential is tried slowly and nothing is lost meanwhile.
func TestUnauthorizedIsKeptAndRetriedSlowly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		o := startOutbox(t, func(int, []*item) error {
			if time.Since(begin) < 10*time.Minute {
				return &statusError{status: http.StatusUnauthorized}
			}
			return nil
		})
		defer o.stop()
		o.addMany(10)
		o.flushed(t)
		if n := len(o.posts); n < 20 || n > 60 || len(o.acked) != 10 {
			t.Errorf("%d callbacks in ten minutes, %d acknowledged", n, len(o.acked))
		}
	})
}

// A result that the server cannot digest does not stop the others: one that it
// refuses is given up, one that breaks it is tried until it does not.
func TestPoisonIsIsolated(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity, http.StatusInternalServerError} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				poison := firjob.Fire(7, time.UnixMilli(77))
				begin := time.Now()
				o := startOutbox(t, func(_ int, batch []*item) error {
					broken := slices.ContainsFunc(batch, func(it *item) bool { return it.ref.ID == poison })
					if broken && time.Since(begin) < 30*time.Minute {
						return &statusError{status: status}
					}
					return nil
				})
				defer o.stop()
				o.addMany(300)
				time.Sleep(10 * time.Minute)
				synctest.Wait()
				want := 300
				if status == http.StatusInternalServerError {
					want = 299
				}
				distinct := make(map[firjob.ExecutionID]bool)
				for _, ref := range o.acked {
					distinct[ref.ID] = true
				}
				if len(distinct) != want {
					t.Errorf("%d results are done after ten minutes, want %d", len(distinct), want)
				}
				if taken := o.taken(); len(taken) != 299 || taken[poison] {
					t.Errorf("the server took %d results, the faulty one among them: %v; want the 299 others", len(taken), taken[poison])
				}
				o.flushed(t)
			})
		})
	}
}

// In place of a result that the server refuses its attempt is reported as failed.
func TestARefusedResultIsReportedAsFailed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var reported []firjob.Result
		o := startOutbox(t, func(_ int, batch []*item) error {
			for _, it := range batch {
				if it.result.Outcome == firjob.OutcomeSucceeded {
					return &statusError{status: http.StatusRequestEntityTooLarge}
				}
				reported = append(reported, it.result)
			}
			return nil
		})
		defer o.stop()
		o.addMany(1)
		o.flushed(t)
		if len(reported) != 1 || reported[0].Outcome != firjob.OutcomeFailed || !reported[0].Permanent ||
			!strings.Contains(reported[0].Error, "the server refused the result") {
			t.Errorf("the server was told %+v, want one permanent failure", reported)
		}
		if len(o.acked) != 1 {
			t.Errorf("%d results are done, want 1", len(o.acked))
		}
	})
}

func TestOutboxIsFull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := startOutbox(t, func(int, []*item) error { return errors.New("down") })
		defer o.stop()
		o.addMany(1)
		o.mu.Lock()
		o.bytes += maxWaitingBytes - 200
		o.mu.Unlock()
		if o.full() {
			t.Error("full before 64 MiB wait")
		}
		o.addMany(1)
		if !o.full() {
			t.Error("64 MiB wait and there is room")
		}
	})
}

// An error's text is kept twice, in the result's line and beside it, and counts so.
func TestErrorsCountInFull(t *testing.T) {
	t.Parallel()
	o := newOutbox(nil, nil, slog.New(slog.DiscardHandler))
	text := strings.Repeat("e", maxErrorText)
	o.add(firjob.Result{ID: firjob.Fire(7, time.UnixMilli(1)), Token: 1, Outcome: firjob.OutcomeFailed, Error: text})
	if o.bytes < 2*len(text) {
		t.Errorf("a result with an error of %d bytes counts %d", len(text), o.bytes)
	}
}

// Without the spool results stay in memory and reach the server all the same.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("this system has no /dev/full to play a full disk")
	}
	synctest.Test(t, func(t *testing.T) {
		o := startOutbox(t, func(int, []*item) error { return nil })
		defer o.stop()
		synctest.Wait()
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		o.spool.current.file.Close()
		o.spool.current.file = full
		o.addMany(5)
		o.flushed(t)
		if len(o.acked) != 5 {
			t.Errorf("%d acknowledged", len(o.acked))
		}
		synctest.Wait()
		o.addMany(5)
		o.flushed(t)
		if files, _ := filepath.Glob(filepath.Join(o.spool.dir, "*.jsonl")); len(files) != 1 {
			t.Errorf("after the disk has room again: %v", files)
		}
	})
}
