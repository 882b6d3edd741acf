package worker_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/codec"
	"github.com/firjob/firjob/worker"
)

// newer has the server's callbacks answered as by one that takes both encodings,
// but for those for which older returns true, and tells the encoding of each.
func (s *fakeServer) newer(t *testing.T, older func(call int32) bool) <-chan codec.Encoding {
	t.Helper()
	heard := make(chan codec.Encoding, 1<<10)
	var calls atomic.Int32
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+firjob.PathRegister, s.beat)
	mux.HandleFunc("POST "+firjob.PathHeartbeat, s.beat)
	mux.HandleFunc("POST "+firjob.PathLeave, s.leave)
	mux.HandleFunc("POST "+firjob.PathCallback, func(w http.ResponseWriter, r *http.Request) {
		in := codec.Encoding(r.Header.Get("Content-Type"))
		heard <- in
		if older(calls.Add(1)) {
			s.callback(w, r) // which reads JSON only
			return
		}
		body, _ := io.ReadAll(r.Body)
		var cb firjob.Callback
		if err := codec.Decode(in, body, &cb); err != nil {
			t.Errorf("a callback cannot be read: %v", err)
		}
		answer, err := codec.Encode(in, &firjob.CallbackReply{Results: receipts(cb, firjob.ReceiptRecorded)})
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Accept", codec.Accepts)
		w.Header().Set("Content-Type", string(in))
		_, _ = w.Write(answer)
		for _, result := range cb.Results {
			s.results <- result
		}
	})
	web := httptest.NewServer(authenticated(mux))
	t.Cleanup(web.Close)
	s.url = web.URL
	return heard
}

// Results go in JSON until the server says that it takes more. Where one of several
// is older, what it cannot read is repeated in JSON, nothing is given up, and JSON
// stays for a while.
func TestResultsGoInTheEncodingThatTheServerTakes(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		older func(call int32) bool
		want  []codec.Encoding
	}{
		"an older server":      {func(int32) bool { return true }, []codec.Encoding{codec.JSON, codec.JSON, codec.JSON}},
		"a newer server":       {func(int32) bool { return false }, []codec.Encoding{codec.JSON, codec.CBOR, codec.CBOR}},
		"one older, one newer": {func(n int32) bool { return n == 2 }, []codec.Encoding{codec.JSON, codec.CBOR, codec.JSON, codec.JSON}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newFakeServer(t)
			heard := s.newer(t, tt.older)
			says := func(_ context.Context, task *worker.Task) error { return task.SetResult(map[string]int{"n": 1}) }
			w := start(t, s, worker.Options{}, map[string]worker.Handler{"says": says})
			for n := range 3 {
				send(t, s, w, newTrigger(n, "says"))
				r := await(t, s.results, "a result")
				if r.ID != newTrigger(n, "").ID || r.Token != 100 || r.Outcome != firjob.OutcomeSucceeded || string(r.Result) != `{"n":1}` {
					t.Errorf("result %d arrived as %+v", n, r)
				}
				awaitMatch(t, s.beats, "a beat without it", func(b firjob.Beat) bool { return len(b.Holding) == 0 && b.Running == 0 })
			}
			var got []codec.Encoding
			for range len(heard) {
				got = append(got, <-heard)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("encodings (-want +got):\n%s", diff)
			}
		})
	}
}

// What an earlier process has left in the spool goes in either encoding.
func TestSpooledResultsGoInTheCompactEncoding(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newFakeServer(t)
	s.onCallback = func(firjob.Callback) (int, []firjob.Receipt) { return http.StatusServiceUnavailable, nil }
	w := start(t, s, worker.Options{SpoolDir: dir}, map[string]worker.Handler{"fail": func(context.Context, *worker.Task) error { return io.ErrUnexpectedEOF }})
	send(t, s, w, newTrigger(1, "fail"))
	awaitMatch(t, s.beats, "a beat with a result that waits", func(b firjob.Beat) bool { return len(b.Holding) == 1 && b.Running == 0 })
	w.stop()
	await(t, w.done, "the end")

	next := newFakeServer(t)
	heard := next.newer(t, func(int32) bool { return false })
	w = start(t, next, worker.Options{SpoolDir: dir}, map[string]worker.Handler{"ok": succeed})
	if r := await(t, next.results, "the spooled result"); r.ID != newTrigger(1, "").ID || r.Error != io.ErrUnexpectedEOF.Error() || r.Outcome != firjob.OutcomeFailed {
		t.Errorf("it arrived as %+v", r)
	}
	send(t, next, w, newTrigger(2, "ok"))
	await(t, next.results, "another result")
	if got := []codec.Encoding{<-heard, <-heard}; !slices.Equal(got, []codec.Encoding{codec.JSON, codec.CBOR}) {
		t.Errorf("encodings: %v", got)
	}
}

// A batch is answered in its own encoding, and every answer says which are taken.
func TestTriggersAreTakenInBothEncodings(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	params := make(chan json.RawMessage, 1)
	w := start(t, s, worker.Options{}, map[string]worker.Handler{"ok": func(_ context.Context, task *worker.Task) error {
		params <- task.RawParams()
		return nil
	}})
	for i, in := range []codec.Encoding{codec.JSON, codec.CBOR} {
		tr := newTrigger(i, "ok")
		tr.Params = json.RawMessage(`{"a":"<b>"}`)
		batch := firjob.TriggerBatch{App: app, SentAt: time.Now(), Triggers: []firjob.Trigger{tr, newTrigger(10+i, "none")}}
		body, err := codec.Encode(in, &batch)
		if err != nil {
			t.Fatal(err)
		}
		status, header, answer := tell(t, s, w, string(in), body)
		var reply firjob.TriggerReply
		if err := codec.Decode(codec.Encoding(header.Get("Content-Type")), answer, &reply); err != nil || status != http.StatusOK || header.Get("Content-Type") != string(in) {
			t.Errorf("%s is answered %d, %q of type %q (%v)", in, status, answer, header.Get("Content-Type"), err)
		}
		if want := []firjob.Acceptance{firjob.Accepted, firjob.RefusedHandler}; !slices.Equal(reply.Results, want) || reply.Incarnation != s.incarnation() {
			t.Errorf("%s is answered %+v, want %v", in, reply, want)
		}
		if codec.Takes(header.Values("Accept")) != codec.CBOR {
			t.Errorf("the answer does not say what is taken: %v", header)
		}
		if got := await(t, params, "the handler"); string(got) != `{"a":"<b>"}` {
			t.Errorf("params arrived as %s", got)
		}
	}
	for contentType, want := range map[string]int{"application/cbor": 415, "text/plain": 415, string(codec.CBOR): 400, "application/json; charset=utf-8": 400} {
		if status, _, answer := tell(t, s, w, contentType, []byte("hello")); status != want {
			t.Errorf("%s is answered %d %s, want %d", contentType, status, answer, want)
		}
	}
}

func tell(t *testing.T, s *fakeServer, w executor, contentType string, body []byte) (status int, header http.Header, answer []byte) {
	t.Helper()
	req := signedRequest(t, s, w, http.MethodPost, firjob.PathTrigger, body)
	req.Header.Set("Content-Type", contentType)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err = io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header, answer
}
