package storage_test

import (
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// Remote times are believed as far as they can be true, on the way of successes
// as on that of failures: sent <= started <= finished <= received.
func TestTimesOfResults(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	const unknown = 1 << 40
	never, far := time.Time{}, time.Date(9999, 12, 31, 23, 0, 0, 0, time.FixedZone("", -3600*2))
	// Times are relative to the claim, which was a minute before the receipt.
	tests := map[string]struct {
		started, finished      any // time.Duration or time.Time
		wantStarted, wantEnded time.Duration
	}{
		"as they should be":     {time.Second, 2 * time.Second, time.Second, 2 * time.Second},
		"half a second early":   {-500 * time.Millisecond, time.Second, 0, time.Second},
		"before it was sent":    {-2 * time.Second, time.Second, unknown, time.Second},
		"a day early":           {-24 * time.Hour, -23 * time.Hour, unknown, time.Minute},
		"44 s ahead":            {time.Minute + 44*time.Second, time.Minute + 45*time.Second, unknown, time.Minute},
		"60 s ahead":            {2 * time.Minute, 2*time.Minute + time.Second, unknown, time.Minute},
		"an end in an hour":     {time.Second, time.Hour, time.Second, time.Minute},
		"backwards":             {3 * time.Second, 2 * time.Second, 3 * time.Second, time.Minute},
		"a clock in 1970":       {time.UnixMilli(5), time.UnixMilli(9), unknown, time.Minute},
		"a clock in year 10000": {far, far, unknown, time.Minute},
		"start unknown":         {never, 2 * time.Second, unknown, 2 * time.Second},
		"nothing known":         {never, never, unknown, time.Minute},
	}
	for name, tt := range tests {
		for _, outcome := range []firjob.Outcome{firjob.OutcomeSucceeded, firjob.OutcomeFailed} {
			t.Run(name+", "+string(outcome), func(t *testing.T) {
				job := s.job(nil)
				claimed := s.now().Add(-time.Minute)
				id := s.plan(job, claimed)[0]
				a := s.mustClaim(id)
				s.exec(`UPDATE executions SET claimed_at = $2 WHERE id = $1`, [16]byte(id), claimed)
				at := func(v any) time.Time {
					if d, ok := v.(time.Duration); ok {
						return claimed.Add(d)
					}
					return v.(time.Time)
				}
				received := s.now()
				got, err := s.Finish(t.Context(), []ports.FinishItem{{Executor: executor, Result: firjob.Result{
					ID: id, Token: a.Token, Outcome: outcome, StartedAt: at(tt.started), FinishedAt: at(tt.finished)}}})
				if err != nil || got.Receipts[0] != firjob.ReceiptRecorded {
					t.Fatalf("got %+v, %v", got, err)
				}
				e := s.get(id)
				switch {
				case (e.StartedAt == nil) != (tt.wantStarted == unknown):
					t.Errorf("started %v, want %v after the claim", e.StartedAt, tt.wantStarted)
				case e.StartedAt != nil && e.StartedAt.Sub(claimed) != tt.wantStarted:
					t.Errorf("started %v after the claim, want %v", e.StartedAt.Sub(claimed), tt.wantStarted)
				case (e.LatenessMS == nil) != (e.StartedAt == nil) || e.LatenessMS != nil && *e.LatenessMS > 60_000:
					t.Errorf("got the lateness %v for a start at %v", e.LatenessMS, e.StartedAt)
				}
				if ended := *e.FinishedAt; tt.wantEnded == time.Minute && (ended.Before(received) || ended.After(s.now().Add(time.Second))) ||
					tt.wantEnded != time.Minute && ended.Sub(claimed) != tt.wantEnded {
					t.Errorf("ended %v after the claim, want %v", ended.Sub(claimed), tt.wantEnded)
				}
				s.wantOrdered(id)
			})
		}
	}
}

// wantOrdered looks for a step of the explanation that lies before the one above.
func (s *store) wantOrdered(id firjob.ExecutionID) {
	s.t.Helper()
	x, err := s.ExplainExecution(s.t.Context(), id, time.Minute)
	if err != nil {
		s.t.Fatal(err)
	}
	var last time.Time
	for _, step := range x.Steps {
		if step.At != nil && step.At.Before(last) {
			s.t.Errorf("the step %+v comes after one of %v", step, last)
		}
		if step.At != nil {
			last = *step.At
		}
	}
}
