package flow

import "time"

// clockSlack is by how much an executor's estimate of the store's clock may be
// wrong. A time within it is moved to the nearest possible instant.
const clockSlack = time.Second

// Both statements of Finish hold the times of a result by one rule: this one in
// SQL, for successes, and heldTime for the rest. "sent" of an attempt is when its
// claim was made or, of an exclusive one, when its start was granted.
const (
	sentAt    = `coalesce(e.started_at, e.claimed_at)`
	heldStart = `CASE WHEN r.started_at BETWEEN ` + sentAt + ` - $10::interval AND now() + $10::interval
		THEN least(greatest(r.started_at, ` + sentAt + `), now()) ELSE e.started_at END`
	heldEnd = `CASE WHEN r.finished_at BETWEEN ` + sentAt + ` - $10::interval AND now() + $10::interval
		THEN least(greatest(r.finished_at, ` + sentAt + `), now()) ELSE now() END`
)

// heldTime returns a time that an executor reports, held between what the store
// knows: not before sent, not after received. One that is off by more than
// clockSlack is unknown, the zero time.
func heldTime(t, sent, received time.Time) time.Time {
	switch {
	case t.IsZero() || t.Before(sent.Add(-clockSlack)) || t.After(received.Add(clockSlack)):
		return time.Time{}
	case t.Before(sent):
		return sent
	case t.After(received):
		return received
	}
	return t
}

// heldTimes returns when an attempt started and finished as far as its result can
// be believed: sent <= started <= finished <= received. granted is the start that
// the store granted itself, zero for none. An unknown end is the receipt.
func heldTimes(started, finished, granted, claimed, received time.Time) (time.Time, time.Time) {
	sent := claimed
	if !granted.IsZero() {
		sent = granted
	}
	finished = endAfter(started, finished)
	if started = heldTime(started, sent, received); started.IsZero() {
		started = granted
	}
	if finished = heldTime(finished, sent, received); finished.IsZero() {
		finished = received
	}
	return started, finished
}

// endAfter returns finished, unknown if it is before started.
func endAfter(started, finished time.Time) time.Time {
	if finished.Before(started) {
		return time.Time{}
	}
	return finished
}
