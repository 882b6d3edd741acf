package firjob

import (
	"encoding/json"
	"time"
)

// This file is the wire between a server and an executor. Both sides speak
// JSON over HTTP; fields are added, never renamed. Triggers, results and the
// answers to both have a compact encoding, too, for peers that say that they take
// it: package internal/codec has its numbers for the fields.
//
//	server   → executor  POST /firjob/v1/trigger   TriggerBatch → TriggerReply
//	                     POST /firjob/v1/cancel    CancelBatch  → 204
//	                     GET  /firjob/v1/ping      → Ping; with ?holding, → with what it holds
//	executor → server    POST /executor/v1/register, /heartbeat   Beat → BeatReply
//	                     POST /executor/v1/callback               Callback → CallbackReply
//	                     POST /executor/v1/leave                  Beat → 204
//	                     POST /executor/v1/start                  Start → StartReply
//	                     POST /executor/v1/report                 Report → ReportReply
//
// The server signs its requests with the app's key (see Sign). The executor
// authenticates by the app's name and secret in a Basic Authorization header.

// Paths of the executor's own server.
const (
	PathTrigger = "/firjob/v1/trigger"
	PathCancel  = "/firjob/v1/cancel"
	PathPing    = "/firjob/v1/ping"
	PathHolding = PathPing + "?holding"
)

// Paths of the server that executors call.
const (
	PathRegister  = "/executor/v1/register"
	PathHeartbeat = "/executor/v1/heartbeat"
	PathCallback  = "/executor/v1/callback"
	PathLeave     = "/executor/v1/leave"
	PathStart     = "/executor/v1/start"
	PathReport    = "/executor/v1/report"
)

// HeaderIncarnation names the process a batch is meant for. An executor of
// another incarnation answers 421 (Misdirected Request), which is a definite
// refusal of the whole batch.
const HeaderIncarnation = "Firjob-Incarnation"

// Trigger asks an executor to run one attempt.
type Trigger struct {
	ID          ExecutionID     `json:"id"`
	JobID       JobID           `json:"job_id"`
	Job         string          `json:"job"`
	Handler     string          `json:"handler"`
	Kind        Kind            `json:"kind"`
	Params      json.RawMessage `json:"params,omitempty"`
	ScheduledAt time.Time       `json:"scheduled_at"`
	Attempt     int             `json:"attempt"`
	Token       int64           `json:"token"`
	Timeout     Duration        `json:"timeout,omitempty"` // 0 = none
	// the executor must renew it, by its beats, before this has passed since it got the trigger
	Lease     Duration        `json:"lease"`
	Exclusive bool            `json:"exclusive,omitempty"` // ask PathStart before the handler begins
	Shard     *ShardOf        `json:"shard,omitempty"`     // of a broadcast
	Inputs    json.RawMessage `json:"inputs,omitempty"`    // a list of ParentEnd: how the parents ended
}

// TriggerBatch is what one request carries to one executor.
type TriggerBatch struct {
	App      string    `json:"app"`
	SentAt   time.Time `json:"sent_at"` // by the server's estimate of the store's clock
	Triggers []Trigger `json:"triggers"`
}

// Acceptance is an executor's answer to one trigger.
type Acceptance string

// The answers. Every one but accepted is a definite refusal: the handler has
// not run and will not run for this token.
const (
	Accepted       Acceptance = "accepted"        // recorded; the same answer is given to a repeat
	RefusedFull    Acceptance = "full"            // no room; try another executor
	RefusedStale   Acceptance = "stale"           // it knows a higher token of this execution
	RefusedHandler Acceptance = "unknown_handler" // it has no handler of that name
	RefusedDrain   Acceptance = "draining"        // it is about to leave
)

// Known reports whether a is one of the answers above.
func (a Acceptance) Known() bool {
	switch a {
	case Accepted, RefusedFull, RefusedStale, RefusedHandler, RefusedDrain:
		return true
	}
	return false
}

// TriggerReply answers a TriggerBatch; Results is in its order.
type TriggerReply struct {
	Incarnation string       `json:"incarnation"`
	Results     []Acceptance `json:"results"`
}

// CancelBatch asks an executor to cancel attempts; it ignores those that it
// does not run.
type CancelBatch struct {
	Attempts []AttemptRef `json:"attempts"`
}

// Ping is an executor's word that it lives.
type Ping struct {
	App         string `json:"app"`
	Incarnation string `json:"incarnation"`
	// Holding names, for PathHolding, every attempt that the executor has accepted
	// and whose result was not yet acknowledged. nil: the executor does not say.
	Holding []AttemptRef `json:"holding,omitzero"`
}

// Beat tells the server that an executor lives and what it holds. A beat is a
// whole registration, so that an emptied registry is full again one beat later.
type Beat struct {
	Executor
	// Holding names the attempts that the executor has accepted and whose
	// result was not yet acknowledged, but for those younger than
	// BeatReply.NameAfter. Each one's lease is renewed.
	Holding []AttemptRef `json:"holding"`
	// Waiting names those of Holding whose handler has not begun: their timeout does not run yet.
	Waiting []AttemptRef `json:"waiting,omitempty"`
	// Handlers are the names that the executor can run.
	Handlers []string `json:"handlers,omitempty"`
}

// BeatReply answers a Beat.
type BeatReply struct {
	Now      time.Time `json:"now"`      // the server's estimate of the store's clock
	Interval Duration  `json:"interval"` // until the next beat
	Lease    Duration  `json:"lease"`    // how long the attempts named now are held
	// NameAfter is for how long beats need not name an attempt that came with eight
	// times as much lease or more, and is not exclusive; 0 = they name every one. Most
	// attempts are over by then, and nobody has asked Postgres about them.
	NameAfter Duration     `json:"name_after,omitempty"`
	Cancel    []AttemptRef `json:"cancel,omitempty"` // attempts to cancel
	Stale     []AttemptRef `json:"stale,omitempty"`  // attempts that are not current any more: stop them
	// Unconfirmed means that the store is away and could not renew the leases.
	// Nobody can give the attempts up meanwhile, so work goes on; but a server
	// that alone is cut off from the store cannot know. Exclusive attempts are
	// therefore not renewed by this answer.
	Unconfirmed bool `json:"unconfirmed,omitempty"`
}

// Result is how one attempt ended, as the executor tells it.
type Result struct {
	ID      ExecutionID     `json:"id"`
	Token   int64           `json:"token"`
	Outcome Outcome         `json:"outcome"`
	Error   string          `json:"error,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	// by the executor's estimate of the server's clock, never before TriggerBatch.SentAt
	StartedAt  time.Time `json:"started_at"`
	FinishedAt time.Time `json:"finished_at"`
	Permanent  bool      `json:"permanent,omitempty"` // of a failure: another attempt would fail, too
	// of a failure: not before this has passed; 0 = the job's backoff
	RetryAfter Duration `json:"retry_after,omitempty"`
}

// Callback is a batch of results of one executor.
type Callback struct {
	App         string   `json:"app"`
	Address     string   `json:"address"`
	Incarnation string   `json:"incarnation"`
	Results     []Result `json:"results"`
}

// Receipt is the server's answer to one result.
type Receipt string

// The receipts. After each of them the executor forgets the result.
const (
	ReceiptRecorded  Receipt = "recorded"  // committed now
	ReceiptDuplicate Receipt = "duplicate" // committed before
	ReceiptStale     Receipt = "stale"     // a newer attempt exists; nothing changed
	ReceiptUnknown   Receipt = "unknown"   // no such execution; nothing changed
)

// CallbackReply answers a Callback; Results is in its order. The status is 200
// if each result was recorded, now or before, and 409 if any was stale or
// unknown; the others of the batch are recorded all the same.
type CallbackReply struct {
	Results []Receipt `json:"results"`
}

// Start asks, before the handler of an exclusive job begins, whether each of the
// attempts still is the current one.
type Start struct {
	App         string       `json:"app"`
	Address     string       `json:"address"`
	Incarnation string       `json:"incarnation"`
	Attempts    []AttemptRef `json:"attempts"`
}

// StartReply answers a Start; Granted is in its order. One that is not granted
// must not begin: a newer attempt exists, or the execution has ended.
type StartReply struct {
	Granted []bool   `json:"granted"`
	Lease   Duration `json:"lease"` // how long the granted ones are held
}

// Report is what running handlers say of themselves: lines of log and progress.
// It is advice for people; losing it costs no result.
type Report struct {
	App         string          `json:"app"`
	Address     string          `json:"address"`
	Incarnation string          `json:"incarnation"`
	Logs        []LogChunk      `json:"logs,omitempty"`
	Progress    []ProgressEntry `json:"progress,omitempty"`
}

// LogChunk is consecutive lines of one attempt. A repeat of a chunk (the same
// attempt and First) is stored once.
type LogChunk struct {
	AttemptRef
	First int64     `json:"first"` // number of the first line, from 1
	Lines []LogLine `json:"lines"`
}

// LogLine is one line of an attempt's log.
type LogLine struct {
	At    time.Time       `json:"at"`
	Level string          `json:"level"` // DEBUG, INFO, WARN or ERROR, or slog's forms in between
	Text  string          `json:"text"`
	Attrs json.RawMessage `json:"attrs,omitempty"` // an object
}

// ProgressEntry is the latest progress of one attempt.
type ProgressEntry struct {
	AttemptRef
	Percent int    `json:"percent"` // 0 to 100
	Note    string `json:"note,omitempty"`
}

// ReportReply answers a Report.
type ReportReply struct {
	// Cut names attempts whose log has reached its limit: of what they say from
	// now on the oldest is dropped.
	Cut []AttemptRef `json:"cut,omitempty"`
}

// Limits of the wire.
const (
	MaxBatch        = 512      // triggers or results in one request
	MaxCallbackBody = 16 << 20 // bytes
	MaxTriggerBody  = 40 << 20 // bytes: a full batch of the largest params
	MaxReportBody   = 4 << 20  // bytes
	MaxLogLine      = 16 << 10 // bytes of one line's text and attributes
	MaxLog          = 1 << 20  // bytes that are kept of one execution's log, unless the server says otherwise
	MaxNote         = 500      // bytes of a progress note
)
