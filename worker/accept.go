package worker

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/codec"
	"github.com/firjob/firjob/internal/failpoint"
)

// maxCancelBody bounds a cancel request, in bytes.
const maxCancelBody = 1 << 20

// receiver is the worker's own HTTP server. It believes nothing that is not
// signed with the app's key.
type receiver struct {
	app         string
	incarnation string
	key         []byte
	handlers    map[string]Handler
	table       *table
	reporter    *reporter
	clock       *serverClock
	log         *slog.Logger
}

func (rc *receiver) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle(firjob.PathTrigger, rc.signed(http.MethodPost, firjob.MaxTriggerBody, rc.trigger))
	mux.Handle(firjob.PathCancel, rc.signed(http.MethodPost, maxCancelBody, rc.cancel))
	mux.Handle(firjob.PathPing, rc.signed(http.MethodGet, 0, rc.ping))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, http.StatusNotFound, firjob.CodeNotFound,
			"an executor serves "+firjob.PathTrigger+" and its neighbours")
	})
	return mux
}

// signed lets only requests through that have the right method and size, carry
// the server's signature and are meant for this process, and hands the body on.
func (rc *receiver) signed(method string, limit int64,
	serve func(http.ResponseWriter, *http.Request, []byte)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != method {
			w.Header().Set("Allow", method)
			refuse(w, http.StatusMethodNotAllowed, firjob.CodeInvalid, "the method is "+method)
			return
		}
		body, err := readBody(w, r, limit)
		if err != nil {
			refuseBody(w, err)
			return
		}
		// The server's clock, as far as we know it: a wrong clock on this
		// machine must not lock the server out.
		if err := firjob.VerifySignature(r.Header, rc.key, rc.clock.at(time.Now()), body); err != nil {
			rc.log.Debug("refused a request", "path", r.URL.Path, "from", r.RemoteAddr, "error", err)
			refuse(w, http.StatusUnauthorized, firjob.CodeUnauthorized, err.Error())
			return
		}
		if method == http.MethodPost && r.Header.Get(firjob.HeaderIncarnation) != rc.incarnation {
			refuse(w, http.StatusMisdirectedRequest, firjob.CodeConflict,
				"this is another process than the request is meant for")
			return
		}
		serve(w, r, body)
	})
}

func (rc *receiver) trigger(w http.ResponseWriter, r *http.Request, body []byte) {
	now := time.Now()
	w.Header().Set("Accept", codec.Accepts)
	in, err := codec.Of(r.Header.Get("Content-Type"))
	if err != nil {
		refuse(w, http.StatusUnsupportedMediaType, firjob.CodeInvalid, err.Error())
		return
	}
	var batch firjob.TriggerBatch
	if err := codec.Decode(in, body, &batch); err != nil {
		refuse(w, http.StatusBadRequest, firjob.CodeInvalid, err.Error())
		return
	}
	if batch.App != rc.app {
		refuse(w, http.StatusMisdirectedRequest, firjob.CodeConflict, "this executor is not one of the app")
		return
	}
	attempts, err := rc.attempts(batch, now)
	if err != nil {
		refuse(w, http.StatusBadRequest, firjob.CodeInvalid, err.Error())
		return
	}
	reply := firjob.TriggerReply{Incarnation: rc.incarnation, Results: rc.table.accept(attempts, now)}
	answer, err := codec.Encode(in, &reply)
	if err != nil {
		panic(fmt.Sprintf("worker: an answer of our own words cannot be written: %v", err))
	}
	failpoint.CrashWhen(failpoint.AfterBegin, func() int { return rc.table.begun(attempts) })
	w.Header().Set("Content-Type", string(in))
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(answer) // an error means that the peer has gone, which it will find out
}

// attempts checks a batch and makes attempts of it. A lease counts
// from when the batch was sent: it may have waited in a socket's buffer while
// this process stood still.
func (rc *receiver) attempts(batch firjob.TriggerBatch, now time.Time) ([]*attempt, error) {
	if len(batch.Triggers) > firjob.MaxBatch {
		return nil, fmt.Errorf("the batch holds %d triggers, more than %d", len(batch.Triggers), firjob.MaxBatch)
	}
	rc.clock.hear(now, batch.SentAt)
	sent := now
	if age := rc.clock.at(now).Sub(batch.SentAt); age > 0 && !batch.SentAt.IsZero() && rc.clock.set() {
		sent = now.Add(-age)
	}
	attempts := make([]*attempt, len(batch.Triggers))
	for i := range batch.Triggers {
		tr := &batch.Triggers[i]
		if tr.ID.IsZero() || tr.Token <= 0 || tr.Lease <= 0 {
			return nil, fmt.Errorf("trigger %d lacks an id, a token or a lease", i)
		}
		if s := tr.Shard; s != nil && (s.Index < 0 || s.Index >= s.Total) {
			return nil, fmt.Errorf("trigger %d is shard %d of %d", i, s.Index, s.Total)
		}
		attempts[i] = rc.attempt(tr, batch.SentAt, sent)
	}
	return attempts, nil
}

// attempt makes of a trigger what the table takes. sentAt is by the server's
// clock, sent by ours.
func (rc *receiver) attempt(tr *firjob.Trigger, sentAt, sent time.Time) *attempt {
	a := &attempt{
		task: Task{
			ID: tr.ID, JobID: tr.JobID, Job: tr.Job, Handler: tr.Handler, Kind: tr.Kind,
			ScheduledAt: tr.ScheduledAt, Attempt: tr.Attempt, Token: tr.Token, Shard: firjob.ShardOf{Total: 1},
			params: tr.Params, inputs: tr.Inputs, base: rc.log, reporter: rc.reporter,
		},
		handler:   rc.handlers[tr.Handler],
		timeout:   tr.Timeout.Std(),
		sentAt:    sentAt,
		exclusive: tr.Exclusive,
		taken:     sent,
		lease:     tr.Lease.Std(),
		fence:     sent.Add(fenced(tr.Lease.Std())),
	}
	if tr.Shard != nil {
		a.task.Shard = *tr.Shard
	}
	return a
}

func (rc *receiver) cancel(w http.ResponseWriter, _ *http.Request, body []byte) {
	var batch firjob.CancelBatch
	if err := json.Unmarshal(body, &batch); err != nil {
		refuse(w, http.StatusBadRequest, firjob.CodeInvalid, err.Error())
		return
	}
	rc.table.cancel(batch.Attempts, ErrCancelled)
	w.WriteHeader(http.StatusNoContent)
}

func (rc *receiver) ping(w http.ResponseWriter, r *http.Request, _ []byte) {
	answer := firjob.Ping{App: rc.app, Incarnation: rc.incarnation}
	if r.URL.Query().Has("holding") {
		answer.Holding = rc.table.census(time.Now(), 0).holding
	}
	respond(w, http.StatusOK, "application/json", answer)
}

// readBody takes room for the announced length at once, but not for more than a
// usual batch: the sender has not shown yet that it is the server.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	const usual = 256 << 10
	body := bytes.NewBuffer(make([]byte, 0, min(max(r.ContentLength, 0), limit, usual)+bytes.MinRead))
	_, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, limit))
	return body.Bytes(), err
}

func refuseBody(w http.ResponseWriter, err error) {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		refuse(w, http.StatusRequestEntityTooLarge, firjob.CodeTooLarge,
			fmt.Sprintf("the body exceeds %d bytes", tooLarge.Limit))
		return
	}
	refuse(w, http.StatusBadRequest, firjob.CodeInvalid, "the body could not be read")
}

// problem is the part of RFC 9457 that our errors need.
type problem struct {
	Title  string      `json:"title"`
	Status int         `json:"status"`
	Code   firjob.Code `json:"code"`
	Detail string      `json:"detail"`
}

func refuse(w http.ResponseWriter, status int, code firjob.Code, detail string) {
	respond(w, status, "application/problem+json",
		problem{Title: http.StatusText(status), Status: status, Code: code, Detail: detail})
}

// respond writes v. An error means that the peer has gone, which it will find
// out for itself.
func respond(w http.ResponseWriter, status int, contentType string, v any) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
