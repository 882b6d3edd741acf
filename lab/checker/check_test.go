package checker_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/lab/checker"
)

var began = time.Date(2027, 1, 1, 12, 0, 0, 0, time.UTC)

// story is a made-up history and dump in which everything is right: two jobs
// that fire each second for a minute, an edit, a pause, a fault, a retry.
type story struct {
	events  []checker.Event
	dump    checker.Dump
	writes  int64
	token   int64
	options checker.Options
}

const (
	plainJob  = firjob.JobID(1)
	serialJob = firjob.JobID(2)
	childJob  = firjob.JobID(3)
)

func tell() *story {
	s := &story{options: checker.Defaults()}
	s.dump.At = began.Add(2 * time.Minute)
	s.event(0, checker.Event{Kind: checker.KindRun})
	first := began.Add(time.Second)
	s.write(0, plainJob, checker.OpCreate, checker.Spec{First: first, Every: time.Second, Misfire: firjob.MisfireFireAll})
	s.write(0, serialJob, checker.OpCreate, checker.Spec{First: first, Every: time.Second, MaxRunning: 1, Overlap: firjob.OverlapSkip, Misfire: firjob.MisfireFireAll})
	s.write(0, childJob, checker.OpCreate, checker.Spec{Paused: true, Parent: plainJob})
	s.event(20*time.Second, checker.Event{Kind: checker.KindFault, Phase: checker.PhaseBegin, Fault: "kill-replica", Target: "server-1"})
	s.event(22*time.Second, checker.Event{Kind: checker.KindFault, Phase: checker.PhaseOK, Fault: "kill-replica", Target: "server-1"})
	for i := 1; i <= 60; i++ {
		after := time.Duration(i) * time.Second
		late := 2 * time.Millisecond
		if i == 21 {
			late = 1500 * time.Millisecond // a fault was at work
		}
		parent := s.fire(plainJob, after, late)
		s.fire(serialJob, after, late)
		s.child(parent, after+late+20*time.Millisecond)
	}
	for _, job := range []firjob.JobID{plainJob, serialJob} {
		s.write(61*time.Second, job, checker.OpPause, checker.Spec{Paused: true})
	}
	return s
}

func (s *story) event(after time.Duration, e checker.Event) {
	e.Mono, e.Wall = time.Hour+after, began.Add(after)
	s.events = append(s.events, e)
}

func (s *story) write(after time.Duration, job firjob.JobID, op checker.Op, spec checker.Spec) {
	s.writes++
	s.event(after, checker.Event{Kind: checker.KindWrite, Phase: checker.PhaseBegin, Write: s.writes, Op: op, Job: job})
	s.event(after+5*time.Millisecond, checker.Event{Kind: checker.KindWrite, Phase: checker.PhaseOK, Write: s.writes, Op: op, Job: job, Spec: &spec})
}

// fire tells of a fire that went well.
func (s *story) fire(job firjob.JobID, after, late time.Duration) firjob.ExecutionID {
	id := firjob.Fire(job, began.Add(after))
	s.run(id, 1, after+late, 10*time.Millisecond, firjob.OutcomeSucceeded)
	s.record(id, firjob.StateSucceeded, after+late+11*time.Millisecond)
	if job == serialJob { // its handler writes to the ledger
		s.dump.Effects = append(s.dump.Effects, checker.Effect{Key: id.String(), Token: s.token})
	}
	return id
}

func (s *story) child(parent firjob.ExecutionID, after time.Duration) {
	id := firjob.NewExecutionID(childJob, began.Add(after), firjob.KindChild, 7)
	s.run(id, 1, after, time.Millisecond, firjob.OutcomeSucceeded)
	s.record(id, firjob.StateSucceeded, after+2*time.Millisecond)
	s.row(id).Parent = parent
}

// run tells of one attempt: received, begun, ended, reported.
func (s *story) run(id firjob.ExecutionID, attempt int, at, takes time.Duration, outcome firjob.Outcome) int64 {
	s.token++
	e := checker.Event{Execution: id, Token: s.token, Attempt: attempt, Executor: "10.0.0.7:9999", PID: 7}
	for _, part := range []struct {
		kind checker.Kind
		at   time.Duration
	}{{checker.KindTrigger, at}, {checker.KindStart, at}, {checker.KindEnd, at + takes}} {
		e.Kind = part.kind
		s.event(part.at, e)
	}
	e.Kind, e.Outcome, e.Status, e.Receipt = checker.KindCallback, outcome, 200, firjob.ReceiptRecorded
	s.event(at+takes, e)
	return s.token
}

func (s *story) record(id firjob.ExecutionID, state firjob.State, at time.Duration) {
	finished := began.Add(at)
	s.dump.Executions = append(s.dump.Executions, checker.Row{ID: id, State: state, Attempt: 1, Token: s.token, FinishedAt: finished,
		Attempts: []firjob.Attempt{{Attempt: 1, Token: s.token, Outcome: firjob.Outcome(state), FinishedAt: &finished}}})
}

func (s *story) row(id firjob.ExecutionID) *checker.Row {
	for i := range s.dump.Executions {
		if s.dump.Executions[i].ID == id {
			return &s.dump.Executions[i]
		}
	}
	return nil
}

// recordStart has the record of a fire say when its attempt began.
func (s *story) recordStart(id firjob.ExecutionID, after time.Duration) {
	at := began.Add(after)
	s.row(id).Attempts[0].StartedAt = &at
}

// drop takes out events.
func (s *story) drop(which func(checker.Event) bool) { s.events = slices.DeleteFunc(s.events, which) }

func (s *story) check(t *testing.T) *checker.Report {
	t.Helper()
	slices.SortStableFunc(s.events, func(a, b checker.Event) int { return int(a.Mono - b.Mono) })
	r, err := checker.Check(s.events, s.dump, s.options)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func at(second int) firjob.ExecutionID {
	return firjob.Fire(plainJob, began.Add(time.Duration(second)*time.Second))
}

func TestAGoodRunHolds(t *testing.T) {
	t.Parallel()
	r := tell().check(t)
	for _, v := range r.Violations {
		t.Error(v)
	}
	if r.Targets < 100 || len(r.Quiet) == 0 || len(r.Disturbed) == 0 || r.Quiet.Quantile(0.5) != 2*time.Millisecond {
		t.Errorf("got %d targets, %d quiet and %d disturbed starts, p50 %v", r.Targets, len(r.Quiet), len(r.Disturbed), r.Quiet.Quantile(0.5))
	}
}

// Each way in which a run can be wrong, and what must be found.
func TestEachViolationIsFound(t *testing.T) {
	t.Parallel()
	of := func(id firjob.ExecutionID, kinds ...checker.Kind) func(checker.Event) bool {
		return func(e checker.Event) bool {
			return e.Execution == id && (len(kinds) == 0 || slices.Contains(kinds, e.Kind))
		}
	}
	for name, test := range map[string]struct {
		spoil func(s *story)
		want  []string // the invariants
		count func(r *checker.Report) int
	}{
		"a fire without a record": {func(s *story) {
			s.dump.Executions = slices.DeleteFunc(s.dump.Executions, func(r checker.Row) bool { return r.ID == at(10) })
			s.drop(of(at(10)))
		}, []string{"I1 complete"}, func(r *checker.Report) int { return r.Missed }},
		"a success that nobody ran": {func(s *story) { s.drop(of(at(10))) }, []string{"I1 complete"}, func(r *checker.Report) int { return r.Missed }},
		"missed, though all late fires are to run": {func(s *story) {
			row := s.row(at(10))
			row.State, row.Reason, row.Attempts = firjob.StateMissed, "too late", nil
			s.drop(of(at(10)))
		}, []string{"I1 complete"}, nil},
		"still planned in the end": {func(s *story) {
			row := s.row(at(10))
			row.State, row.FinishedAt, row.Attempts = firjob.StatePlanned, time.Time{}, nil
			s.drop(of(at(10)))
		}, []string{"I1 complete"}, func(r *checker.Report) int { return r.Stuck }},
		"recorded twice": {func(s *story) { s.dump.Executions = append(s.dump.Executions, *s.row(at(10))) }, []string{"I2 no phantom"}, nil},
		"a run without a record": {func(s *story) {
			s.run(firjob.Fire(9, began.Add(10*time.Second)), 1, 10*time.Second, 1, firjob.OutcomeFailed)
		},
			[]string{"I2 no phantom", "I6 acknowledged"}, nil},
		"a fire that nobody asked for": {func(s *story) { s.child(s.fire(plainJob, 10500*time.Millisecond, 1), 11*time.Second) },
			[]string{"I2 no phantom"}, func(r *checker.Report) int { return r.Phantoms }},
		"a fire long after the pause": {func(s *story) { s.fire(serialJob, 70*time.Second, 1) }, []string{"I2 no phantom"}, func(r *checker.Report) int { return r.Phantoms }},
		"a trigger that was promised and forgotten": {func(s *story) {
			id := firjob.NewExecutionID(9, began.Add(10*time.Second), firjob.KindManual, 3)
			s.event(9*time.Second, checker.Event{Kind: checker.KindWrite, Phase: checker.PhaseOK, Op: checker.OpTrigger, Job: 9, Execution: id})
		}, []string{"I1 complete"}, func(r *checker.Report) int { return r.Missed }},
		"early":                                  {func(s *story) { s.shift(at(10), -30*time.Millisecond) }, []string{"I3 on time"}, func(r *checker.Report) int { return r.Early }},
		"late without a fault":                   {func(s *story) { s.shift(at(50), 2*time.Second) }, []string{"I3 on time"}, func(r *checker.Report) int { return r.Late }},
		"late beyond recovery":                   {func(s *story) { s.shift(at(21), 17*time.Second) }, []string{"I3 on time"}, func(r *checker.Report) int { return r.Late }},
		"late when the fault was recovered from": {func(s *story) { s.shift(at(36), 3*time.Second) }, []string{"I3 on time"}, func(r *checker.Report) int { return r.Late }},
		"a zombie start": {func(s *story) {
			old := s.token + 1
			s.run(at(10), 2, 10*time.Second+50*time.Millisecond, time.Millisecond, firjob.OutcomeSucceeded)
			s.row(at(10)).Attempts = append(s.row(at(10)).Attempts, firjob.Attempt{Attempt: 2, Token: old, Outcome: firjob.OutcomeSucceeded})
			s.row(at(10)).Token = old
			first := s.events[slices.IndexFunc(s.events, of(at(10), checker.KindStart))]
			first.Mono += 200 * time.Millisecond
			first.Wall = first.Wall.Add(200 * time.Millisecond)
			s.drop(func(e checker.Event) bool { return e.Token == first.Token && e.Kind != checker.KindCallback })
			s.events = append(s.events, first)
		}, []string{"I4 tokens"}, func(r *checker.Report) int { return r.Zombies }},
		"two starts under one token": {func(s *story) {
			again := s.events[slices.IndexFunc(s.events, of(at(10), checker.KindStart))]
			again.Mono += 100 * time.Millisecond
			s.events = append(s.events, again)
		}, []string{"I4 tokens"}, func(r *checker.Report) int { return r.Doubled }},
		"two handlers at once, without a fault": {func(s *story) {
			s.drop(of(at(50), checker.KindEnd))
			first := s.events[slices.IndexFunc(s.events, of(at(50), checker.KindStart))]
			first.Kind = checker.KindEnd
			first.Mono += time.Second
			s.events = append(s.events, first)
			s.run(at(50), 2, 50*time.Second+100*time.Millisecond, time.Millisecond, firjob.OutcomeSucceeded)
			row := s.row(at(50))
			row.Token = s.token
			row.Attempts = append(row.Attempts, firjob.Attempt{Attempt: 2, Token: s.token, Outcome: firjob.OutcomeSucceeded})
		}, []string{"I5 one active"}, func(r *checker.Report) int { return r.Overlapped }},
		"an acknowledged result is lost": {func(s *story) {
			row := s.row(at(10))
			row.State, row.Reason, row.Attempts[0].Outcome = firjob.StateLost, "no answer", firjob.OutcomeLost
		}, []string{"I6 acknowledged", "I7 legal history"}, func(r *checker.Report) int { return r.LostAcknowledgements }},
		"a success that nobody reported": {func(s *story) { s.drop(of(at(10), checker.KindCallback)) }, []string{"I6 acknowledged"}, nil},
		"final without an end":           {func(s *story) { s.row(at(10)).FinishedAt = time.Time{} }, []string{"I7 legal history"}, nil},
		"tokens that shrink": {func(s *story) {
			row := s.row(at(10))
			row.Attempts = append(row.Attempts, firjob.Attempt{Attempt: 2, Token: 1, Outcome: firjob.OutcomeFailed})
		}, []string{"I7 legal history"}, nil},
		"a start recorded before its time":                 {func(s *story) { s.recordStart(at(10), 10*time.Second-time.Millisecond) }, []string{"I7 legal history"}, nil},
		"a start recorded by a wrong clock":                {func(s *story) { s.recordStart(at(50), 52*time.Second) }, []string{"I7 legal history"}, nil},
		"a start recorded by a wrong clock, under a fault": {func(s *story) { s.recordStart(at(21), 51*time.Second) }, []string{"I7 legal history"}, nil},
		"a write behind the fence": {func(s *story) {
			s.dump.Effects = []checker.Effect{{Key: "a", Token: 2}, {Key: "a", Token: 1}}
		}, []string{"I8 effects"}, nil},
		"a success without its write":  {func(s *story) { s.dump.Effects = s.dump.Effects[1:] }, []string{"I8 effects"}, nil},
		"planned and not in the queue": {func(s *story) { s.dump.Planned = []firjob.ExecutionID{at(99)} }, []string{"I9 recovered"}, nil},
		"in the queue and over":        {func(s *story) { s.dump.Queued = []firjob.ExecutionID{at(10)} }, []string{"I9 recovered"}, nil},
		"two of a job that runs one": {func(s *story) {
			id := firjob.Fire(serialJob, began.Add(50*time.Second))
			s.shift(firjob.Fire(serialJob, began.Add(51*time.Second)), -0)
			end := slices.IndexFunc(s.events, of(id, checker.KindEnd))
			s.events[end].Mono += 1500 * time.Millisecond
		}, []string{"I10 policy"}, nil},
		"a child twice": {func(s *story) { s.child(at(10), 10*time.Second+500*time.Millisecond) }, []string{"I10 policy"}, nil},
		"no child": {func(s *story) {
			for i := range s.dump.Executions {
				if s.dump.Executions[i].Parent == at(10) {
					s.dump.Executions[i].Parent = at(9999)
				}
			}
		}, []string{"I10 policy"}, nil},
		"a run of what was left out": {func(s *story) {
			row := s.row(firjob.Fire(serialJob, began.Add(10*time.Second)))
			row.State, row.Reason, row.Attempts[0].Outcome = firjob.StateSkipped, "another runs", firjob.OutcomeSucceeded
		}, []string{"I10 policy"}, nil},
		"a leak": {func(s *story) {
			s.dump.Before, s.dump.After = map[string]float64{"keys": 10}, map[string]float64{"keys": 13}
		}, []string{"I11 bounded"}, nil},
		"left-over bookkeeping": {func(s *story) { s.dump.Leftovers = []string{"job_slots has 1 holder"} }, []string{"I11 bounded"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := tell()
			test.spoil(s)
			r := s.check(t)
			var found []string
			for _, v := range r.Violations {
				if !slices.Contains(found, v.Invariant) {
					found = append(found, v.Invariant)
				}
			}
			slices.Sort(found)
			slices.Sort(test.want)
			if !slices.Equal(found, test.want) {
				t.Errorf("found %q, want %q: %v", found, test.want, r.Violations)
			}
			if test.count != nil && test.count(r) == 0 {
				t.Error("the report does not count it")
			}
		})
	}
}

// shift moves what happened to an execution in time.
func (s *story) shift(id firjob.ExecutionID, by time.Duration) {
	for i, e := range s.events {
		if e.Execution == id {
			s.events[i].Mono += by
			s.events[i].Wall = e.Wall.Add(by)
		}
	}
	finished := s.row(id).FinishedAt.Add(by)
	s.row(id).FinishedAt = finished
}

// What a policy allows is no violation, and is counted as such.
func TestPoliciesExcuse(t *testing.T) {
	t.Parallel()
	for name, excuse := range map[string]func(s *story){
		"skipped by an overlap rule": func(s *story) {
			id := firjob.Fire(serialJob, began.Add(10*time.Second))
			row := s.row(id)
			row.State, row.Reason, row.Attempts = firjob.StateSkipped, "another runs", nil
			s.drop(func(e checker.Event) bool { return e.Execution == id })
		},
		"superseded by a pause that met what a fault had held up": func(s *story) {
			id := firjob.Fire(serialJob, began.Add(60*time.Second))
			row := s.row(id)
			row.State, row.Reason, row.Attempts, row.FinishedAt = firjob.StateSuperseded, "the job was paused", nil, began.Add(61*time.Second)
			s.drop(func(e checker.Event) bool { return e.Execution == id })
		},
		"lost, and not sent again for a job that was deleted meanwhile": func(s *story) {
			id := firjob.Fire(serialJob, began.Add(60*time.Second))
			row := s.row(id)
			row.State, row.Reason, row.FinishedAt = firjob.StateLost, "the lease ended; not sent again: the job was deleted", began.Add(65*time.Second)
			row.Attempts[0].Outcome = firjob.OutcomeLost
			s.drop(func(e checker.Event) bool { return e.Execution == id })
			s.write(63*time.Second, serialJob, checker.OpDelete, checker.Spec{Deleted: true})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := tell()
			excuse(s)
			if r := s.check(t); !r.Held() {
				t.Errorf("found %v", r.Violations)
			}
		})
	}
}

func TestReportAndTimelineTell(t *testing.T) {
	t.Parallel()
	s := tell()
	s.shift(at(50), 2*time.Second)
	r := s.check(t)
	var text, picture bytes.Buffer
	if err := r.Write(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"VIOLATED, 1 times", "late", "1 × kill-replica", "I3 on time: job 1, 12:00:52.002"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, text.String())
		}
	}
	if err := checker.Timeline(&picture, r); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(picture.String(), "kill-replica server-1") || !strings.Contains(picture.String(), "#d22") {
		t.Error("the picture lacks the fault or the violation")
	}
	decoder := xml.NewDecoder(&picture)
	for {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("the picture is not XML: %v", err)
		}
	}
}

func TestHistoryIsReadBack(t *testing.T) {
	t.Parallel()
	var file bytes.Buffer
	s := tell()
	for _, e := range s.events {
		if err := checker.Write(&file, e); err != nil {
			t.Fatal(err)
		}
	}
	file.WriteString(`{"mono":1,"kind":"sta`) // of a process that was killed
	events, err := checker.Read(&file)
	if err != nil {
		t.Fatal(err)
	}
	if len(events) != len(s.events) || !slices.IsSortedFunc(events, func(a, b checker.Event) int { return int(a.Mono - b.Mono) }) {
		t.Errorf("read %d events in order, want %d", len(events), len(s.events))
	}
	if _, err := checker.Read(strings.NewReader("{\n")); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("a broken line: got %v", err)
	}
	var one checker.Event
	if data, err := json.Marshal(events[0]); err != nil || json.Unmarshal(data, &one) != nil {
		t.Errorf("an event does not survive JSON: %v", err)
	}
}
