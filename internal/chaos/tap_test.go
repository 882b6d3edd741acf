package chaos_test

import (
	"bytes"
	"encoding/json"
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
	"github.com/firjob/firjob/internal/chaos"
	"github.com/firjob/firjob/internal/checker"
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
		if r.URL.Path == firjob.PathTrigger {
			_ = json.NewEncoder(w).Encode(firjob.TriggerReply{Incarnation: "one", Results: []firjob.Acceptance{firjob.Accepted, firjob.RefusedFull}})
			return
		}
		_ = json.NewEncoder(w).Encode(firjob.CallbackReply{Results: []firjob.Receipt{firjob.ReceiptRecorded}})
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
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Post("http://"+x.tap.Addr()+path, "application/json", bytes.NewReader(text))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.ReadAll(resp.Body)
	return err
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
	x := newTapped(t)
	batch := firjob.TriggerBatch{Triggers: []firjob.Trigger{{ID: someID, Token: 5, Attempt: 1}, {ID: otherID, Token: 6, Attempt: 1}}}
	if err := x.post(firjob.PathTrigger, batch); err != nil {
		t.Fatal(err)
	}
	if err := x.post(firjob.PathCallback, firjob.Callback{Results: []firjob.Result{{ID: someID, Token: 5, Outcome: firjob.OutcomeSucceeded}}}); err != nil {
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
			if n := x.received.Load(); n != test.received {
				t.Errorf("the target got %d requests, want %d", n, test.received)
			}
			if n := int64(len(x.history())); n != test.received {
				t.Errorf("%d results are written down, want %d", n, test.received)
			}
		})
	}
}
