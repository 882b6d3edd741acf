package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firjob/firjob"
)

// While the server is away, each attempt keeps its latest lines and says how
// many it lost.
func TestServerAwayKeepsTheLatestLines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var away atomic.Bool
		away.Store(true)
		r := startReporter(t, func(int, firjob.Report) error {
			if away.Load() {
				return errors.New("away")
			}
			return nil
		})
		defer r.stop()
		task, quiet := r.task(1), r.task(2)
		first := strings.Repeat("x", 1000)
		task.Log().Info(first)
		quiet.Log().Info("only this")
		wait(time.Second) // these are in a report, which will be sent again
		const lines = 4000
		for n := range lines {
			task.Log().Info(fmt.Sprintf("%d %s", n, first))
		}
		if size, _ := r.waiting(); size > maxAttemptKept+2*streamCost {
			t.Errorf("%d bytes are kept", size)
		}
		away.Store(false)
		wait(time.Minute)
		got := r.linesOf(t, task)
		if got[0] != first {
			t.Errorf("first line %.20q", got[0])
		}
		var dropped int
		if _, err := fmt.Sscanf(got[1], "… %d lines dropped", &dropped); err != nil || dropped+len(got)-2 != lines || len(got) < 900 {
			t.Errorf("%q is followed by %d lines of %d", got[1], len(got)-2, lines)
		}
		for i, text := range got[2:] {
			if want := fmt.Sprintf("%d ", dropped+i); !strings.HasPrefix(text, want) {
				t.Fatalf("line %d is %.20q", i+3, text)
			}
		}
		if got := r.linesOf(t, quiet); !slices.Equal(got, []string{"only this"}) {
			t.Errorf("the other has %q", got)
		}
	})
}

// Many attempts that say much, some of them only once, share the room.
func TestAllTogetherAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var away atomic.Bool
		away.Store(true)
		r := startReporter(t, func(int, firjob.Report) error {
			if away.Load() {
				return &statusError{status: http.StatusServiceUnavailable}
			}
			return nil
		})
		defer r.stop()
		long := strings.Repeat("<\x01", 2500)
		for n := range 3000 {
			task := r.task(n)
			task.Progress(n%100, long)
			for range n % 3 {
				task.Log().Info(long)
			}
			if n%1000 == 0 {
				wait(time.Second)
			}
			if size, _ := r.waiting(); size > maxKept || size < 0 {
				t.Fatalf("%d bytes are kept", size)
			}
		}
		away.Store(false)
		wait(10 * time.Minute)
		if size, attempts := r.waiting(); size != 0 || attempts != 0 {
			t.Errorf("%d bytes of %d attempts are left", size, attempts)
		}
		latest := r.linesOf(t, r.task(2999))
		if len(latest) != 2 {
			t.Errorf("of the latest attempt %d lines have arrived", len(latest))
		}
	})
}

// A burst does not wait for half a second, and leaves in reports of bounded size.
func TestBurstsLeaveSoon(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startReporter(t, takeAll)
		defer r.stop()
		long := strings.Repeat("x", 10<<10)
		for n := range 8 {
			task := r.task(n)
			for range 40 {
				task.Log().Info(long)
			}
		}
		wait(300 * time.Millisecond)
		total := 0
		for _, one := range r.sent {
			for _, c := range one.Logs {
				total += len(c.Lines)
			}
		}
		if total != 320 || len(r.sent) < 2 || r.sent[0].at != 0 {
			t.Errorf("%d lines in %d reports, the first after %v", total, len(r.sent), r.sent[0].at)
		}
	})
}

// A report holds something of so many attempts and no more; those whose progress
// must not be told yet take nobody's place.
func TestManyAttemptsTakeSeveralReports(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startReporter(t, takeAll)
		defer r.stop()
		const many = 2*firjob.MaxBatch + 1
		tasks := make([]*Task, many)
		for n := range tasks {
			tasks[n] = r.task(n)
			tasks[n].Log().Info("hello")
			tasks[n].Progress(1, "")
		}
		wait(700 * time.Millisecond)
		for _, task := range tasks {
			task.Progress(2, "")
		}
		wait(time.Minute)
		lines, words := 0, 0
		for _, one := range r.sent {
			lines, words = lines+len(one.Logs), words+len(one.Progress)
		}
		if lines != many || words != 2*many {
			t.Errorf("%d lines and %d words about progress of %d attempts", lines, words, many)
		}
	})
}

// What the server cannot take stops nothing else.
func TestRefusedPartIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var poison *Task
		r := startReporter(t, func(_ int, rp firjob.Report) error {
			if slices.ContainsFunc(rp.Logs, func(c firjob.LogChunk) bool { return c.ID == poison.ID }) {
				return &statusError{status: http.StatusBadRequest}
			}
			return nil
		})
		defer r.stop()
		poison = r.task(13)
		for n := range 20 {
			task := r.task(n)
			task.Log().Info("hello")
			task.Progress(n, "")
		}
		wait(time.Minute)
		lines, words := 0, 0
		for _, one := range r.kept {
			lines, words = lines+len(one.Logs), words+len(one.Progress)
		}
		if lines != 19 || words != 20 {
			t.Errorf("%d lines and %d words about progress have arrived", lines, words)
		}
	})
}

func TestReportsBackOff(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err         error
		least, most int // reports in ten minutes
	}{
		{errors.New("away"), 100, 300},
		{&statusError{status: http.StatusNotFound}, 20, 60}, // a server of an earlier version
		{&statusError{status: http.StatusTooManyRequests, after: time.Minute}, 8, 11},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := startReporter(t, func(int, firjob.Report) error { return test.err })
			defer r.stop()
			task := r.task(1)
			for range 600 {
				task.Log().Info("still here")
				wait(time.Second)
			}
			if n := len(r.sent); n < test.least || n > test.most {
				t.Errorf("%v: %d reports in ten minutes", test.err, n)
			}
		})
	}
}

// Words that may not be told yet, however many wait, cost no more than a look
// now and then.
func TestWordsThatMustWaitAreNotLookedAtAllTheTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		post := func(context.Context, []*part) ([]firjob.AttemptRef, error) { return nil, nil }
		r := newReporter(post, slog.LevelInfo, newServerClock(time.Now()), slog.New(slog.DiscardHandler))
		tasks := make([]*Task, hurrySize/streamCost+1)
		for n := range tasks {
			tasks[n] = &Task{ID: firjob.Fire(7, time.UnixMilli(int64(n))), Token: 1, base: slog.New(slog.DiscardHandler), reporter: r}
			tasks[n].Progress(1, "")
		}
		r.pass(t.Context())
		time.Sleep(2 * reportGap)
		for _, task := range tasks {
			task.Progress(2, "")
		}
		r.pass(t.Context()) // finds that they were told less than a second ago
		tasks[0].Progress(3, "")
		if wait, busy := r.wait(time.Now()); !busy || wait != reportGap {
			t.Errorf("looks again after %v (%v), want %v", wait, busy, reportGap)
		}
	})
}
