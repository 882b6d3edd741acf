package chaos_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/codec"
	"github.com/firjob/firjob/lab/chaos"
	"github.com/firjob/firjob/lab/checker"
)

// tapped is a tap before a target that accepts everything, and what it wrote down.
type tapped struct {
	t        *testing.T
	tap      *chaos.Tap
	received atomic.Int64
	recorder *chaos.Recorder
	path     string
}

func newTapped(t *testing.T) *tapped {
	t.Helper()
	x := &tapped{t: t, path: filepath.Join(t.TempDir(), "history")}
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x.received.Add(1)
		in := codec.Encoding(r.Header.Get("Content-Type"))
		w.Header().Set("Content-Type", string(in))
		answer, _ := codec.Encode(in, &firjob.CallbackReply{Results: []firjob.Receipt{firjob.ReceiptRecorded}})
		if r.URL.Path == firjob.PathTrigger {
			answer, _ = codec.Encode(in, &firjob.TriggerReply{Incarnation: "one", Results: []firjob.Acceptance{firjob.Accepted, firjob.RefusedFull}})
		}
		_, _ = w.Write(answer)
	}))
	t.Cleanup(target.Close)
	var err error
	if x.recorder, err = chaos.NewRecorder(x.path); err != nil {
		t.Fatal(err)
	}
	if x.tap, err = chaos.NewTap(target.URL, x.recorder, rand.New(rand.NewPCG(1, 2))); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = x.tap.Close() })
	return x
}

func (x *tapped) post(path string, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		x.t.Fatal(err)
	}
	return x.send(path, codec.JSON, text)
}

func (x *tapped) send(path string, encoding codec.Encoding, text []byte) error {
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Post("http://"+x.tap.Addr()+path, string(encoding), bytes.NewReader(text))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.ReadAll(resp.Body)
	return err
}

// await returns how many requests the target has got, once these are as many as
// are wanted, or it has taken too long.
func (x *tapped) await(want int64) int64 {
	deadline := time.After(5 * time.Second)
	for {
		select {
		case <-deadline:
			return x.received.Load()
		case <-time.After(time.Millisecond):
			if n := x.received.Load(); n >= want {
				return n
			}
		}
	}
}

func (x *tapped) history() []checker.Event {
	x.t.Helper()
	if err := x.recorder.Close(); err != nil {
		x.t.Error(err)
	}
	file, err := os.Open(x.path)
	if err != nil {
		x.t.Fatal(err)
	}
	defer file.Close()
	events, err := checker.Read(file)
	if err != nil {
		x.t.Fatal(err)
	}
	return events
}

var (
	someID  = firjob.Fire(1, time.UnixMilli(1_800_000_000_000))
	otherID = firjob.Fire(2, time.UnixMilli(1_800_000_000_000))
)

func TestTapWritesDownWhatPasses(t *testing.T) {
	t.Parallel()
	for _, e := range []codec.Encoding{codec.JSON, codec.CBOR} {
		t.Run(string(e), func(t *testing.T) {
			t.Parallel()
			writesDownWhatPasses(t, e)
		})
	}
}

func writesDownWhatPasses(t *testing.T, encoding codec.Encoding) {
	x := newTapped(t)
	batch := firjob.TriggerBatch{Triggers: []firjob.Trigger{{ID: someID, Token: 5, Attempt: 1}, {ID: otherID, Token: 6, Attempt: 1}}}
	triggers, err := codec.Encode(encoding, &batch)
	if err != nil {
		t.Fatal(err)
	}
	results, err := codec.Encode(encoding, &firjob.Callback{Results: []firjob.Result{{ID: someID, Token: 5, Outcome: firjob.OutcomeSucceeded}}})
	if err := errors.Join(err, x.send(firjob.PathTrigger, encoding, triggers)); err != nil {
		t.Fatal(err)
	}
	if err := x.send(firjob.PathCallback, encoding, results); err != nil {
		t.Fatal(err)
	}
	events := x.history()
	if len(events) != 2 {
		t.Fatalf("got %+v, want one attempt, since the other was refused, and one result", events)
	}
	if e := events[0]; e.Kind != checker.KindTrigger || e.Execution != someID || e.Token != 5 || e.Incarnation != "one" || e.Mono == 0 {
		t.Errorf("the attempt: %+v", e)
	}
	if e := events[1]; e.Kind != checker.KindCallback || e.Receipt != firjob.ReceiptRecorded || e.Status != 200 || e.Mono < events[0].Mono {
		t.Errorf("the result: %+v", e)
	}
}

func TestTapDisturbs(t *testing.T) {
	t.Parallel()
	callback := firjob.Callback{Results: []firjob.Result{{ID: someID, Token: 5, Outcome: firjob.OutcomeSucceeded}}}
	for name, test := range map[string]struct {
		with     chaos.Disturbance
		received int64
		fails    bool
	}{
		"nothing":     {chaos.Disturbance{}, 1, false},
		"a cut":       {chaos.Disturbance{Cut: true}, 0, true},
		"lost answer": {chaos.Disturbance{LoseAnswer: 1}, 1, true},
		"a duplicate": {chaos.Disturbance{Duplicate: 1}, 2, false},
		"an echo":     {chaos.Disturbance{Echo: time.Millisecond}, 2, false},
		"out of turn": {chaos.Disturbance{Reorder: 1}, 1, false},
		"a delay":     {chaos.Disturbance{Delay: 50 * time.Millisecond}, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newTapped(t)
			x.tap.Set(test.with)
			if err := x.post(firjob.PathCallback, callback); (err != nil) != test.fails {
				t.Errorf("got the error %v, want one: %v", err, test.fails)
			}
			if n := x.await(test.received); n != test.received {
				t.Errorf("the target got %d requests, want %d", n, test.received)
			}
			if err := x.tap.Close(); err != nil { // which is when all is written down
				t.Error(err)
			}
			if n := int64(len(x.history())); n != test.received {
				t.Errorf("%d results are written down, want %d", n, test.received)
			}
		})
	}
}

func TestTapHangs(t *testing.T) {
	t.Parallel()
	x := newTapped(t)
	client := &http.Client{Timeout: 200 * time.Millisecond, Transport: &http.Transport{DisableKeepAlives: true}}
	x.tap.Set(chaos.Disturbance{Hang: true})
	for _, path := range []string{firjob.PathTrigger, firjob.PathHeartbeat} {
		if resp, err := client.Post("http://"+x.tap.Addr()+path, "application/json", bytes.NewReader([]byte(`{}`))); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: got %v, %v; want silence", path, resp, err)
		}
	}
	if n := x.received.Load(); n != 0 {
		t.Errorf("%d requests came through", n)
	}
	x.tap.Set(chaos.Disturbance{})
	if err := x.post(firjob.PathCallback, firjob.Callback{}); err != nil {
		t.Errorf("after it: %v", err)
	}
}
