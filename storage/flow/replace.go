package flow

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/storage/pg"
)

// A job with the overlap rule replace has one place. Who finds it taken asks the
// holder to end and waits, alone: the newest replaces also those that waited
// before. It goes on when the holder has ended or, at replace_at, all the same;
// the executions of an exclusive job wait for the end, however long it takes.

// supplant sees to those that wait to replace the holders of contested places.
// Executions that end by it are among ends, for the caller to finish once the
// slots are written; the others concerned are told in followed.
func supplant(ctx context.Context, tx pgx.Tx, slots []*jobSlot, followed *ports.Followed) (ends []Ending, err error) {
	for _, s := range slots {
		if !s.contested || s.job.Overlap != firjob.OverlapReplace {
			continue
		}
		more, err := s.supplant(ctx, tx, followed)
		if err != nil {
			return nil, err
		}
		ends = append(ends, more...)
	}
	return ends, nil
}

func (s *jobSlot) supplant(ctx context.Context, tx pgx.Tx, followed *ports.Followed) (ends []Ending, err error) {
	lines, attempts, err := lockWaiting(ctx, tx, []*jobSlot{s})
	if err != nil {
		return nil, err
	}
	var newest firjob.ExecutionID
	for _, id := range lines[s.id] {
		if _, locked := attempts[id]; locked {
			newest = id
		}
	}
	if newest.IsZero() { // it was cancelled, or is about to be
		s.replaceAt, s.contested = time.Time{}, len(lines[s.id]) > 0
		if s.contested {
			s.review(s.now)
		}
		return nil, nil
	}
	winner, reason := newest, replacedBy(newest)
	if last := s.newest(); pg.CompareIDs(newest, last) < 0 { // they have waited under another rule
		winner, reason = last, earlierThan(last)
	}
	for _, id := range lines[s.id] {
		if _, locked := attempts[id]; locked && id != winner {
			ends = append(ends, Ending{id, firjob.StateSkipped, reason})
		}
	}
	if winner != newest {
		s.replaceAt, s.contested = time.Time{}, false
		if n := len(lines[s.id]); len(attempts) < n || n == s.look() { // others wait, too
			s.review(s.now)
		}
		return ends, nil
	}
	if s.replaceAt.IsZero() {
		s.replaceAt = s.now.Add(s.job.ReplaceAfter.Std())
	}
	ended, err := s.press(ctx, tx, newest, followed)
	if err != nil {
		return nil, err
	}
	ends = append(ends, ended...)
	if len(s.holders) > 0 {
		if !s.job.Exclusive {
			s.review(s.replaceAt)
		}
		return ends, nil
	}
	s.holders, s.replaceAt, s.contested = []firjob.ExecutionID{newest}, time.Time{}, false
	due, err := letWaitingIn(ctx, tx, s.holders)
	followed.Announce = append(followed.Announce, due...)
	return ends, err
}

// holder is an execution that has a place.
type holder struct {
	id      firjob.ExecutionID
	token   int64
	running bool
	cancel  bool // it was asked to end
}

func scanHolder(row pgx.CollectableRow) (holder, error) {
	var h holder
	err := row.Scan((*[16]byte)(&h.id), &h.token, &h.running, &h.cancel)
	return h, err
}

// press makes the holders leave for newest: those between two attempts end now,
// those that run are asked to, and have had their time when replace_at has come.
func (s *jobSlot) press(ctx context.Context, tx pgx.Tx, newest firjob.ExecutionID,
	followed *ports.Followed) (ends []Ending, err error) {
	if len(s.holders) == 0 {
		return nil, nil
	}
	low, high := pg.Bounds(s.holders)
	rows, _ := tx.Query(ctx, lockHoldersSQL, pg.UUIDs(s.holders), low, high)
	holders, err := pgx.CollectRows(rows, scanHolder)
	if err != nil {
		return nil, err
	}
	if len(holders) < len(s.holders) {
		s.review(s.now)
	}
	timeout := !s.job.Exclusive && !s.replaceAt.After(s.now)
	for _, h := range holders {
		switch {
		case !h.running:
			s.leave(h.id)
			ends = append(ends, Ending{h.id, firjob.StateCancelled, replacedBy(newest)})
			continue
		case !h.cancel:
			ref := firjob.AttemptRef{ID: h.id, Token: h.token}
			followed.Cancel = append(followed.Cancel, ports.Cancel{App: s.job.App, Attempt: ref})
		}
		reason := replacedBy(newest)
		if timeout {
			s.leave(h.id)
			reason = fmt.Sprintf("%s, which began after %v though this one had not ended", replacedBy(newest),
				s.job.ReplaceAfter)
		}
		if _, err := tx.Exec(ctx, pressSQL, [16]byte(h.id), reason); err != nil {
			return nil, err
		}
		shards, all, err := pressShards(ctx, tx, h.id, s.job.App, replacedBy(newest), followed)
		if err != nil {
			return nil, err
		}
		if !all {
			s.review(s.now)
		}
		ends = append(ends, shards...)
	}
	return ends, nil
}

const (
	lockHoldersSQL = `SELECT id, token, state = 'running', cancel FROM executions
		WHERE id = ANY($1::uuid[]) AND id BETWEEN $2::uuid AND $3::uuid
		AND coalesce(finished_at, 'infinity') = 'infinity'
		ORDER BY id FOR UPDATE SKIP LOCKED`
	pressSQL = `UPDATE executions SET cancel = true, reason = $2 WHERE id = $1`
)

// afterReplacement returns the reason of a cancelled execution: that another one
// replaces it, if that was the reason so far, and how it came to its end.
func afterReplacement(before, reason string) string {
	switch {
	case !strings.HasPrefix(before, replaced):
		return reason
	case reason == "":
		return before
	}
	return before + "; " + strings.TrimPrefix(reason, "cancelled on request; ")
}

const replaced = "replaced by execution "

func replacedBy(id firjob.ExecutionID) string { return replaced + id.String() }

// earlierThan is the reason of those that replace nothing, last being later.
func earlierThan(last firjob.ExecutionID) string {
	return fmt.Sprintf("execution %s, which is scheduled later, was still running", last)
}
