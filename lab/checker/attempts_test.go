package checker_test

import (
	"slices"
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/lab/checker"
)

// Each way in which an attempt can be wrong, and what must be found; and what looks
// like it and is right.
func TestAttemptsAreJudged(t *testing.T) {
	t.Parallel()
	endWell := func(s *story, id firjob.ExecutionID) {
		for i, e := range s.events {
			if e.Kind == checker.KindEnd && e.Execution == id {
				s.events[i].Phase = checker.PhaseOK
			}
		}
	}
	unanswered := func(s *story, id firjob.ExecutionID) {
		for i, e := range s.events {
			if e.Kind == checker.KindCallback && e.Execution == id {
				s.events[i].Receipt, s.events[i].Status = "", 0
			}
		}
	}
	loseFirst := func(s *story, times int) {
		row := s.row(at(10))
		row.State, row.Reason = firjob.StateLost, "no answer"
		row.Attempts = nil
		s.drop(func(e checker.Event) bool { return e.Execution == at(10) })
		for i := range times {
			token := s.run(at(10), i+1, 10*time.Second+time.Duration(i)*20*time.Millisecond, time.Millisecond, firjob.OutcomeSucceeded)
			row.Attempts = append(row.Attempts, firjob.Attempt{Attempt: i + 1, Token: token, Outcome: firjob.OutcomeLost})
			row.Attempt, row.Token = i+1, token
		}
		s.drop(func(e checker.Event) bool { return e.Execution == at(10) && e.Kind == checker.KindCallback })
		for i := range s.dump.Executions { // what is lost has no child
			if s.dump.Executions[i].Parent == at(10) {
				s.dump.Executions[i].Parent = at(9999)
			}
		}
	}
	supersede := func(s *story, id firjob.ExecutionID) { // by the pause in the end
		row := s.row(id)
		row.State, row.Reason, row.Attempts, row.FinishedAt = firjob.StateSuperseded, "the job was paused", nil, began.Add(61*time.Second)
		s.drop(func(e checker.Event) bool { return e.Execution == id })
		for i := range s.dump.Executions {
			if s.dump.Executions[i].Parent == id {
				s.dump.Executions[i].Parent = at(9999)
			}
		}
	}
	for name, test := range map[string]struct {
		spoil func(s *story)
		want  []string
	}{
		"a handler of no attempt": {func(s *story) {
			s.run(at(10), 2, 10*time.Second+200*time.Millisecond, time.Millisecond, firjob.OutcomeFailed)
			s.drop(func(e checker.Event) bool { return e.Execution == at(10) && e.Outcome == firjob.OutcomeFailed })
		}, []string{"I7 legal history"}},
		"lost for good after one attempt": {func(s *story) { loseFirst(s, 1) }, []string{"I7 legal history"}},
		"lost for good after all":         {func(s *story) { loseFirst(s, firjob.MaxLost) }, nil},
		"a result that got lost":          {func(s *story) { endWell(s, at(10)); unanswered(s, at(10)) }, []string{"I6 acknowledged"}},
		"a result that was answered":      {func(s *story) { endWell(s, at(10)) }, nil},
		"late by a fault that began while it was on time": {func(s *story) {
			s.event(50500*time.Millisecond, checker.Event{Kind: checker.KindFault, Phase: checker.PhaseBegin, Fault: "kill-replica", Target: "server-2"})
			s.event(52*time.Second, checker.Event{Kind: checker.KindFault, Phase: checker.PhaseOK, Fault: "kill-replica", Target: "server-2"})
			s.shift(at(50), 2500*time.Millisecond)
		}, nil},
		"late by more than the fault that came after it": {func(s *story) {
			s.event(51500*time.Millisecond, checker.Event{Kind: checker.KindFault, Phase: checker.PhaseBegin, Fault: "kill-replica", Target: "server-2"})
			s.event(52*time.Second, checker.Event{Kind: checker.KindFault, Phase: checker.PhaseOK, Fault: "kill-replica", Target: "server-2"})
			s.shift(at(50), 2500*time.Millisecond)
		}, []string{"I3 on time"}},
		"superseded when it had been overdue for long": {func(s *story) { supersede(s, at(35)) }, []string{"I1 complete"}},
		"superseded when the fault was recovered from": {func(s *story) {
			s.event(40*time.Second, checker.Event{Kind: checker.KindFault, Phase: checker.PhaseBegin, Fault: "kill-replica", Target: "server-2"})
			s.event(44*time.Second, checker.Event{Kind: checker.KindFault, Phase: checker.PhaseOK, Fault: "kill-replica", Target: "server-2"})
			supersede(s, at(50))
		}, []string{"I1 complete"}},
		"open in the end, though it need not have been": {func(s *story) {
			id := firjob.NewExecutionID(childJob, began.Add(10*time.Second), firjob.KindManual, 9)
			s.dump.Executions = append(s.dump.Executions, checker.Row{ID: id, State: firjob.StateRunning, Attempt: 1, Token: 1 << 40})
		}, []string{"I9 recovered"}},
		"a result that died with its process": {func(s *story) {
			endWell(s, at(10))
			unanswered(s, at(10))
			for i := range s.events {
				if s.events[i].Execution == at(10) {
					s.events[i].PID = 8
				}
			}
		}, nil},
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
			if !slices.Equal(found, test.want) {
				t.Errorf("found %q, want %q: %v", found, test.want, r.Violations)
			}
		})
	}
}
