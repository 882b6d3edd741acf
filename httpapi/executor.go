package httpapi

import (
	"fmt"
	"net/http"
	"time"

	"github.com/firjob/firjob"
)

// beat serves register and heartbeat, which are the same: a beat is a whole
// registration.
func (s *server) beat(w http.ResponseWriter, r *http.Request) error {
	beat, err := readBeat(w, r)
	if err != nil {
		return err
	}
	reply, err := s.Scheduler.Beat(r.Context(), beat)
	if err != nil {
		return fmt.Errorf("take the beat of %s: %w", beat.Address, err)
	}
	writeJSON(w, jsonType, http.StatusOK, reply)
	return nil
}

func (s *server) leave(w http.ResponseWriter, r *http.Request) error {
	beat, err := readBeat(w, r)
	if err != nil {
		return err
	}
	if err := s.Scheduler.Leave(r.Context(), beat.Key()); err != nil {
		return fmt.Errorf("let %s leave: %w", beat.Address, err)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// Bounds of the times of an attempt. The longest timeout is 30 days; an
// executor's estimate of the server's clock may run ahead a little.
const (
	oldestAttempt = firjob.MaxTimeout + 24*time.Hour
	aheadOfUs     = time.Minute
)

// credible returns the times of an attempt as far as they can be true. What an
// executor with a wrong clock says becomes unknown, the zero time: an unknown
// start has no lateness, and the store ends the attempt when it hears of it. The
// result counts all the same.
func credible(started, finished, now time.Time) (time.Time, time.Time) {
	possible := func(t time.Time) bool { return t.After(now.Add(-oldestAttempt)) && t.Before(now.Add(aheadOfUs)) }
	if !possible(started) {
		started = time.Time{}
	}
	if !possible(finished) || finished.Before(started) {
		finished = time.Time{}
	}
	return started, finished
}

func readBeat(w http.ResponseWriter, r *http.Request) (firjob.Beat, error) {
	beat, err := readWire[firjob.Beat](w, r, firjob.MaxCallbackBody)
	if err != nil {
		return beat, err
	}
	if beat.State == "" {
		beat.State = firjob.ExecutorActive
	}
	if err := ownApp(r.Context(), beat.App); err != nil {
		return beat, err
	}
	return beat, firjob.Invalid(faultsOfBeat(beat, time.Now()))
}
