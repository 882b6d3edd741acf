package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/firjob/firjob"
)

// Bounds of what an executor says of itself and of its failures, in bytes.
const (
	maxIncarnation = 64
	maxError       = 8 << 10
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

// callback records results. It answers only after the commit.
func (s *server) callback(w http.ResponseWriter, r *http.Request) error {
	c, err := readWire[firjob.Callback](w, r)
	if err != nil {
		return err
	}
	if err := ownApp(r.Context(), c.App); err != nil {
		return err
	}
	if err := firjob.Invalid(faultsOfCallback(c)); err != nil {
		return err
	}
	for i := range c.Results {
		c.Results[i].Error = storable(c.Results[i].Error)
	}
	receipts, err := s.Scheduler.Finish(r.Context(), c)
	if err != nil {
		return fmt.Errorf("record results of %s: %w", c.Address, err)
	}
	writeJSON(w, jsonType, statusOfReceipts(receipts), firjob.CallbackReply{Results: receipts})
	return nil
}

// storable cuts a handler's error to what can be kept. It is not refused: a
// failure must not be lost over the way it was put.
func storable(text string) string {
	if len(text) > maxError {
		text = strings.ToValidUTF8(text[:maxError-len("…")], "") + "…"
	}
	return strings.ReplaceAll(text, "\x00", "")
}

func statusOfReceipts(receipts []firjob.Receipt) int {
	for _, r := range receipts {
		if r == firjob.ReceiptStale || r == firjob.ReceiptUnknown {
			return http.StatusConflict
		}
	}
	return http.StatusOK
}

func readBeat(w http.ResponseWriter, r *http.Request) (firjob.Beat, error) {
	beat, err := readWire[firjob.Beat](w, r)
	if err != nil {
		return beat, err
	}
	if beat.State == "" {
		beat.State = firjob.ExecutorActive
	}
	if err := ownApp(r.Context(), beat.App); err != nil {
		return beat, err
	}
	return beat, firjob.Invalid(faultsOfBeat(beat))
}

// readWire decodes a message of an executor. Fields it does not know are passed
// over: the executor may be newer than the server.
func readWire[T any](w http.ResponseWriter, r *http.Request) (T, error) {
	var message T
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, firjob.MaxCallbackBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return message, firjob.Errorf(firjob.CodeTooLarge, "the body is larger than %d bytes", tooLarge.Limit)
	case err != nil:
		return message, firjob.Errorf(firjob.CodeInvalid, "the body ended early: %v", err)
	}
	return message, wireError(json.Unmarshal(raw, &message))
}

// wireError says what was wrong with a message, as far as the decoder knows.
func wireError(err error) error {
	var syntax *json.SyntaxError
	var wrong *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &syntax):
		return notJSON(err)
	case errors.As(err, &wrong):
		return faulty("body."+wrong.Field, nil, "is of the wrong type: got a "+wrong.Value)
	}
	return faulty("body", nil, err.Error())
}

func faultsOfBeat(b firjob.Beat) []firjob.FieldError {
	list := faultsOfSender(b.Address, b.Incarnation)
	if b.Capacity < 1 {
		list = append(list, firjob.FieldError{Field: "capacity", Value: b.Capacity, Message: "must be 1 or more"})
	}
	if b.Queue < 0 {
		list = append(list, firjob.FieldError{Field: "queue", Value: b.Queue, Message: "must not be negative"})
	}
	if b.Running < 0 {
		list = append(list, firjob.FieldError{Field: "running", Value: b.Running, Message: "must not be negative"})
	}
	if len(b.Version) > firjob.MaxName || !printable(b.Version) {
		list = append(list, firjob.FieldError{Field: "version", Message: fmt.Sprintf("must have at most %d bytes, all printable", firjob.MaxName)})
	}
	if b.State != firjob.ExecutorActive && b.State != firjob.ExecutorDraining {
		list = append(list, firjob.FieldError{Field: "state", Value: string(b.State), Message: "must be active or draining"})
	}
	for i, held := range b.Holding {
		list = append(list, under("holding", i, faultsOfAttempt(held))...)
	}
	return list
}

func faultsOfCallback(c firjob.Callback) []firjob.FieldError {
	list := faultsOfSender(c.Address, c.Incarnation)
	if len(c.Results) > firjob.MaxBatch {
		list = append(list, firjob.FieldError{Field: "results", Message: fmt.Sprintf("has %d items, more than %d", len(c.Results), firjob.MaxBatch)})
	}
	for i, r := range c.Results {
		list = append(list, under("results", i, faultsOfResult(r))...)
	}
	return list
}

// under moves the faults of the i-th item to their place in the message.
func under(items string, i int, list []firjob.FieldError) []firjob.FieldError {
	for k := range list {
		list[k].Field = fmt.Sprintf("%s[%d].%s", items, i, list[k].Field)
	}
	return list
}

func faultsOfSender(address, incarnation string) []firjob.FieldError {
	list := firjob.ValidateAddress(address)
	if incarnation == "" || len(incarnation) > maxIncarnation || !printable(incarnation) {
		list = append(list, firjob.FieldError{Field: "incarnation", Value: incarnation, Message: fmt.Sprintf("must have 1 to %d bytes, all printable", maxIncarnation)})
	}
	return list
}

func faultsOfResult(r firjob.Result) []firjob.FieldError {
	list := faultsOfAttempt(firjob.AttemptRef{ID: r.ID, Token: r.Token})
	switch r.Outcome {
	case firjob.OutcomeSucceeded, firjob.OutcomeFailed, firjob.OutcomeTimedOut, firjob.OutcomeCancelled:
	default:
		list = append(list, firjob.FieldError{Field: "outcome", Value: string(r.Outcome), Message: "must be succeeded, failed, timed_out or cancelled"})
	}
	switch {
	case len(r.Result) > firjob.MaxResult:
		list = append(list, firjob.FieldError{Field: "result", Message: fmt.Sprintf("is larger than %d bytes", firjob.MaxResult)})
	case !utf8.Valid(r.Result):
		list = append(list, firjob.FieldError{Field: "result", Message: "is not valid UTF-8"})
	}
	return list
}

func faultsOfAttempt(a firjob.AttemptRef) []firjob.FieldError {
	var list []firjob.FieldError
	if a.ID.IsZero() {
		list = append(list, firjob.FieldError{Field: "id", Message: "is missing"})
	}
	if a.Token <= 0 {
		list = append(list, firjob.FieldError{Field: "token", Value: a.Token, Message: "must be above 0"})
	}
	return list
}
