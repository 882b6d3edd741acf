package httpapi

import (
	"encoding/json"
	"slices"

	"github.com/firjob/firjob"
)

// executionBody is an execution as the API shows it.
type executionBody struct {
	ID          firjob.ExecutionID  `json:"id" format:"uuid" example:"019c8e5a-3a00-8000-8000-00000000002a"`
	JobID       firjob.JobID        `json:"job_id" example:"42"`
	Job         string              `json:"job" doc:"The job's name" example:"nightly-report"`
	App         string              `json:"app" example:"billing"`
	Handler     string              `json:"handler" example:"report"`
	Kind        firjob.Kind         `json:"kind" enum:"schedule,manual,backfill,child" doc:"What asked for it"`
	ScheduledAt instant             `json:"scheduled_at"`
	DueAt       instant             `json:"due_at" doc:"When it is next to be sent: scheduled_at, or the instant of its retry"`
	State       firjob.State        `json:"state" enum:"planned,running,succeeded,failed,timed_out,cancelled,lost,skipped,missed,superseded"`
	Reason      string              `json:"reason" doc:"Why it is in this state"`
	Attempt     int                 `json:"attempt" doc:"Attempts so far" example:"1"`
	Token       int64               `json:"token" doc:"Fencing token of the present attempt; 0 before the first"`
	Executor    string              `json:"executor" doc:"Where the present attempt runs or ran; empty until a beat has named it, within some 2 s" example:"10.0.0.7:9999"`
	Params      json.RawMessage     `json:"params" doc:"What the handler gets"`
	StartedAt   *instant            `json:"started_at" nullable:"true"`
	FinishedAt  *instant            `json:"finished_at" nullable:"true"`
	LatenessMS  *float64            `json:"lateness_ms" nullable:"true" doc:"Handler start minus scheduled time; never negative"`
	Result      json.RawMessage     `json:"result" doc:"What the handler returned, up to 1 MiB"`
	Attempts    []attemptBody       `json:"attempts" nullable:"false" doc:"Each sending of it, the present one last"`
	RetryOf     *firjob.ExecutionID `json:"retry_of,omitempty" format:"uuid" doc:"The execution that this one runs again"`
	Missed      *missedBody         `json:"missed,omitempty" doc:"The fires that this one record stands for"`
	Waiting     bool                `json:"waiting,omitempty" doc:"It waits for its turn; the reason says whose"`
	Parent      *firjob.ExecutionID `json:"parent,omitempty" format:"uuid" doc:"The execution whose end triggered it, whose shard it is, or that it runs again"`
	Root        *firjob.ExecutionID `json:"root,omitempty" format:"uuid" doc:"The root of the tree that it belongs to, if it has a parent"`
	Shard       *shardPlaceBody     `json:"shard,omitempty" doc:"Which part of a broadcast it is"`
	Shards      []shardBody         `json:"shards,omitempty" nullable:"false" doc:"The parts of a broadcast; not in lists"`
	Inputs      json.RawMessage     `json:"inputs,omitempty" doc:"How its parents ended: a list of job_id, job, execution_id, state, result, note; not in lists"`
	Progress    *progressBody       `json:"progress,omitempty" doc:"What the present attempt last said of itself"`
}

type shardPlaceBody struct {
	Index  int    `json:"index" doc:"From 0"`
	Total  int    `json:"total"`
	Target string `json:"target" doc:"The executor that it is meant for; another one gets it if that is gone" example:"10.0.0.7:9999"`
}

type shardBody struct {
	Index    int                `json:"index" doc:"From 0"`
	ID       firjob.ExecutionID `json:"id" format:"uuid" doc:"It is an execution"`
	State    firjob.State       `json:"state" enum:"planned,running,succeeded,failed,timed_out,cancelled,lost,skipped,missed,superseded"`
	Executor string             `json:"executor" doc:"Where it runs or ran; before that, the one it is meant for" example:"10.0.0.7:9999"`
	Reason   string             `json:"reason"`
	Attempt  int                `json:"attempt"`
}

type progressBody struct {
	Percent int     `json:"percent"`
	Note    string  `json:"note"`
	At      instant `json:"at"`
}

type attemptBody struct {
	Attempt    int            `json:"attempt" example:"1"`
	Token      int64          `json:"token"`
	Executor   string         `json:"executor" example:"10.0.0.7:9999"`
	StartedAt  *instant       `json:"started_at" nullable:"true"`
	FinishedAt *instant       `json:"finished_at" nullable:"true"`
	Outcome    firjob.Outcome `json:"outcome" doc:"succeeded, failed, timed_out, cancelled or lost; empty while it runs"`
	Reason     string         `json:"reason"`
}

type missedBody struct {
	Until instant `json:"until" doc:"The last of the fires; scheduled_at is the first"`
	Count int     `json:"count"`
}

func bodyOfExecution(e firjob.Execution) executionBody {
	b := executionBody{
		ID: e.ID, JobID: e.JobID, Job: e.Job, App: e.App, Handler: e.Handler, Kind: e.Kind,
		ScheduledAt: instant(e.ScheduledAt), DueAt: instant(e.DueAt), State: e.State, Reason: e.Reason,
		Attempt: e.Attempt, Token: e.Token, Executor: e.Executor, Params: e.Params,
		StartedAt: instantOf(e.StartedAt), FinishedAt: instantOf(e.FinishedAt), LatenessMS: e.LatenessMS,
		Result: e.Result, Attempts: []attemptBody{}, RetryOf: e.RetryOf,
	}
	for _, a := range attemptsOf(e) {
		b.Attempts = append(b.Attempts, attemptBody{
			Attempt: a.Attempt, Token: a.Token, Executor: a.Executor, Outcome: a.Outcome, Reason: a.Reason,
			StartedAt: instantOf(a.StartedAt), FinishedAt: instantOf(a.FinishedAt),
		})
	}
	if e.Missed != nil {
		b.Missed = &missedBody{Until: instant(e.Missed.Until), Count: e.Missed.Count}
	}
	if e.Progress != nil {
		b.Progress = &progressBody{Percent: e.Progress.Percent, Note: e.Progress.Note, At: instant(e.Progress.At)}
	}
	b.place(e)
	return b
}

// place shows where e stands in its tree.
func (b *executionBody) place(e firjob.Execution) {
	b.Waiting, b.Parent, b.Root, b.Inputs = e.Waiting, e.Parent, e.Root, e.Inputs
	if e.Shard != nil {
		b.Shard = &shardPlaceBody{Index: e.Shard.Index, Total: e.Shard.Total, Target: e.Shard.Target}
	}
	for _, s := range e.Shards {
		shard := shardBody{Index: s.ID.Ordinal() - 1, ID: s.ID, State: s.State, Executor: s.Executor, Reason: s.Reason,
			Attempt: s.Attempt}
		if shard.Executor == "" && s.Shard != nil {
			shard.Executor = s.Shard.Target
		}
		b.Shards = append(b.Shards, shard)
	}
}

// attemptsOf returns every attempt of e. The store keeps those before the
// present one; the present one is the execution's own fields.
func attemptsOf(e firjob.Execution) []firjob.Attempt {
	present := e.State == firjob.StateRunning || e.State.Final() && e.Token > 0
	known := func(a firjob.Attempt) bool { return a.Token == e.Token }
	if !present || slices.ContainsFunc(e.Attempts, known) {
		return e.Attempts
	}
	a := firjob.Attempt{Attempt: e.Attempt, Token: e.Token, Executor: e.Executor,
		StartedAt: e.StartedAt, FinishedAt: e.FinishedAt, Reason: e.Reason}
	if e.State.Final() {
		a.Outcome = firjob.Outcome(e.State)
	}
	return append(slices.Clip(e.Attempts), a)
}
