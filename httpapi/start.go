package httpapi

import (
	"fmt"
	"net/http"

	"github.com/firjob/firjob"
)

// start grants attempts of exclusive jobs. It answers only after the commit.
func (s *server) start(w http.ResponseWriter, r *http.Request) error {
	message, err := readWire[firjob.Start](w, r, firjob.MaxCallbackBody)
	if err != nil {
		return err
	}
	if err := ownApp(r.Context(), message.App); err != nil {
		return err
	}
	if err := firjob.Invalid(faultsOfStart(message)); err != nil {
		return err
	}
	reply, err := s.Scheduler.Start(r.Context(), message)
	if err != nil {
		return fmt.Errorf("grant attempts to %s: %w", message.Address, err)
	}
	writeJSON(w, jsonType, http.StatusOK, reply)
	return nil
}

func faultsOfStart(m firjob.Start) []firjob.FieldError {
	f := &faults{list: faultsOfSender(m.Address, m.Incarnation)}
	if len(m.Attempts) > firjob.MaxBatch {
		f.add("attempts", nil, fmt.Sprintf("has %d items, more than %d", len(m.Attempts), firjob.MaxBatch))
		return f.list
	}
	f.attempts("attempts", m.Attempts)
	return f.list
}
