package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/codec"
)

// maxError bounds what is kept of a handler's error, in bytes.
const maxError = 8 << 10

// callback records results. It answers only after the commit. A result with a
// fault ends its attempt as failed, because the executor would bring the same
// result again, or drop it and have the handler run again when the lease ends.
func (s *server) callback(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Accept", codec.Accepts)
	c, in, err := readCallback(w, r)
	if err != nil {
		return err
	}
	if err := ownApp(r.Context(), c.App); err != nil {
		return err
	}
	if err := firjob.Invalid(faultsOfCallback(c)); err != nil {
		return err
	}
	ctx := r.Context()
	for i := range c.Results {
		r := &c.Results[i]
		if list := faultsOfResult(*r); len(list) > 0 {
			*r = refused(firjob.AttemptRef{ID: r.ID, Token: r.Token}, list, r.Error)
			s.log.WarnContext(ctx, "a result is refused; its attempt is recorded as failed",
				"execution", r.ID.String(), "executor", c.Address, "fault", list[0].Field+" "+list[0].Message)
		}
		r.Error = storable(r.Error)
	}
	receipts, err := s.Scheduler.Finish(ctx, c)
	if err != nil {
		return fmt.Errorf("record results of %s: %w", c.Address, err)
	}
	return writeMessage(w, in, statusOfReceipts(receipts), firjob.CallbackReply{Results: receipts})
}

// refused returns what is recorded in place of a result with faults: the attempt
// failed, and a further attempt would end the same way. said is the handler's own
// error.
func refused(attempt firjob.AttemptRef, list []firjob.FieldError, said string) firjob.Result {
	texts := make([]string, len(list))
	for i, f := range list {
		texts[i] = f.Field + " " + f.Message
	}
	text := "the server refused the result: " + strings.Join(texts, "; ")
	if said != "" {
		text += "; the handler's error: " + said
	}
	return firjob.Result{ID: attempt.ID, Token: attempt.Token, Outcome: firjob.OutcomeFailed, Error: text,
		Permanent: true}
}

// readCallback reads a callback in the encoding that its Content-Type names.
func readCallback(w http.ResponseWriter, r *http.Request) (c firjob.Callback, in codec.Encoding, err error) {
	in, err = codec.Of(r.Header.Get("Content-Type"))
	if err != nil {
		return c, in, unsupported(r)
	}
	err = readBody(w, r, firjob.MaxCallbackBody, func(body []byte) error {
		if in == codec.JSON {
			return readResults(body, &c)
		}
		if err := codec.Decode(in, body, &c); err != nil {
			known := firjob.Errorf(firjob.CodeInvalid, "the body cannot be read as %s: %v", in, err)
			return &httpError{status: http.StatusBadRequest, known: known}
		}
		return nil
	})
	return c, in, err
}

// readResults decodes a callback in JSON. If something in it does not fit, the
// results are read one by one: one that does not fit, but whose id and token can
// be read, is refused by itself.
func readResults(body []byte, c *firjob.Callback) error {
	whole := readJSON(body, c)
	if whole == nil {
		return nil
	}
	var envelope struct {
		firjob.Callback
		Results []json.RawMessage `json:"results"`
	}
	if json.Unmarshal(body, &envelope) != nil {
		return whole
	}
	*c = envelope.Callback
	c.Results = make([]firjob.Result, len(envelope.Results))
	for i, item := range envelope.Results {
		if json.Unmarshal(item, &c.Results[i]) == nil {
			continue
		}
		var attempt firjob.AttemptRef
		where, v, t := misfit(item, reflect.TypeFor[firjob.Result](), "")
		if json.Unmarshal(item, &attempt) != nil {
			return faulty(fmt.Sprintf("body.results[%d]%s", i, where), scalar(v), misfitText(v, t))
		}
		fault := firjob.FieldError{Field: strings.TrimPrefix(where, "."), Message: misfitText(v, t)}
		c.Results[i] = refused(attempt, []firjob.FieldError{fault}, "")
	}
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
