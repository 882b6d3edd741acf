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
