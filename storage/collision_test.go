package storage_test

import (
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// A transaction that met another is tried again after a pause that grows, or the
// two would meet again at once; and no more than four times.
func TestCollisionsAreTriedAgainAfterAPause(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	id := s.plan(s.job(nil), s.now())[0]
	s.exec(`CREATE SEQUENCE tried`)
	s.exec(`CREATE FUNCTION collide() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		PERFORM nextval('tried'); RAISE EXCEPTION 'deadlock' USING ERRCODE = '40P01'; END $$`)
	s.exec(`CREATE TRIGGER collide BEFORE UPDATE ON executions FOR EACH ROW EXECUTE FUNCTION collide()`)
	began := time.Now()
	_, err := s.DB.Claim(t.Context(), []firjob.ExecutionID{id}, ports.ClaimBy{Replica: "a", Call: "1", Lease: time.Minute})
	wantCode(t, err, firjob.CodeUnavailable)
	if took, least := time.Since(began), 35*time.Millisecond; took < least {
		t.Errorf("four tries took %v, want pauses of at least %v in all", took, least)
	}
	var tries int
	if s.query(`SELECT last_value FROM tried`, &tries); tries != 4 {
		t.Errorf("%d tries, want 4", tries)
	}
}

// A backfill that could not be continued leads to nothing, though each try recorded
// fires before it failed.
func TestAFailedContinuationReturnsNothing(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	b, ids := s.backfill(s.lastHours(s.hourly(), 24))
	s.wantReceipt(s.mustClaim(ids[0]), firjob.OutcomeSucceeded, firjob.ReceiptRecorded)
	s.exec(`CREATE FUNCTION collide() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		RAISE EXCEPTION 'deadlock' USING ERRCODE = '40P01'; END $$`)
	s.exec(`CREATE TRIGGER collide BEFORE UPDATE ON backfills FOR EACH ROW EXECUTE FUNCTION collide()`)
	followed, err := s.ContinueBackfill(t.Context(), b.ID)
	wantCode(t, err, firjob.CodeUnavailable)
	if n := len(followed.Announce); n != 0 {
		t.Errorf("%d executions are to be announced that were not recorded", n)
	}
	s.exec(`DROP TRIGGER collide ON backfills`)
	if followed, err = s.ContinueBackfill(t.Context(), b.ID); err != nil || len(followed.Announce) != 1 {
		t.Errorf("then %d are recorded, %v; want one", len(followed.Announce), err)
	}
}
