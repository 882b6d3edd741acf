package worker_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/worker"
)

// BenchmarkThroughput measures the whole way of a trigger through a worker:
// accepted, run, spooled, reported and acknowledged. The server's side shares
// the machine: it signs batches of 256 that were made beforehand, four at a
// time, and reads callbacks without understanding them.
func BenchmarkThroughput(b *testing.B) {
	const size, senders = 256, 4
	s := newFakeServer(b)
	var acknowledged atomic.Int64
	all := make(chan struct{})
	web := httptest.NewServer(benchServer(s, func(n int) {
		if acknowledged.Add(int64(n)) == int64(b.N) {
			close(all)
		}
	}))
	defer web.Close()
	s.url = web.URL
	w := start(b, s, worker.Options{Concurrency: 64, Queue: 8 * size}, map[string]worker.Handler{"ok": succeed})
	bodies := benchBodies(b.N, size)

	b.ResetTimer()
	var group sync.WaitGroup
	var next atomic.Int64
	for range senders {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(bodies); i = int(next.Add(1)) - 1 {
				benchSend(b, s, w, bodies[i])
			}
		})
	}
	group.Wait()
	await(b, all, "every receipt")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tasks/s")
}

// benchServer takes beats as s does, and calls acknowledged with the number of
// results in each callback.
func benchServer(s *fakeServer, acknowledged func(int)) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc(firjob.PathRegister, s.beat)
	mux.HandleFunc(firjob.PathHeartbeat, s.beat)
	mux.HandleFunc(firjob.PathLeave, s.leave)
	mux.HandleFunc(firjob.PathCallback, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		n := bytes.Count(body, []byte(`"outcome":`))
		_ = json.NewEncoder(w).Encode(firjob.CallbackReply{Results: receipts(firjob.Callback{Results: make([]firjob.Result, n)}, firjob.ReceiptRecorded)})
		acknowledged(n)
	})
	return mux
}

func benchBodies(n, size int) [][]byte {
	var bodies [][]byte
	for first := 0; first < n; first += size {
		batch := firjob.TriggerBatch{App: app, SentAt: time.Now().Add(time.Hour)}
		for i := first; i < min(first+size, n); i++ {
			batch.Triggers = append(batch.Triggers, newTrigger(i, "ok"))
		}
		body, _ := json.Marshal(batch)
		bodies = append(bodies, body)
	}
	return bodies
}

// benchSend sends a batch, and again with the next token what found no room.
func benchSend(b *testing.B, s *fakeServer, w executor, body []byte) {
	for {
		var reply firjob.TriggerReply
		req := signedRequest(b, s, w, http.MethodPost, firjob.PathTrigger, body)
		if status := do(b, req, &reply); status != http.StatusOK {
			b.Errorf("a batch was answered %d", status)
			return
		}
		if body = benchRest(body, reply.Results); body == nil {
			return
		}
	}
}

func benchRest(body []byte, answers []firjob.Acceptance) []byte {
	full := 0
	for _, a := range answers {
		if a == firjob.RefusedFull {
			full++
		}
	}
	if full == 0 {
		return nil
	}
	var batch firjob.TriggerBatch
	_ = json.Unmarshal(body, &batch)
	rest := batch.Triggers[:0]
	for i, tr := range batch.Triggers {
		if answers[i] == firjob.RefusedFull {
			rest = append(rest, withToken(tr, tr.Token+1))
		}
	}
	batch.Triggers = rest
	body, _ = json.Marshal(batch)
	return body
}
