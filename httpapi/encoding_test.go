package httpapi_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/codec"
)

// wireAs sends a message of the given type as an executor of billing.
func (s *surface) wireAs(contentType, path string, body []byte) reply {
	s.t.Helper()
	r := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	r.SetBasicAuth("billing", secret)
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return reply{s.t, w.Code, w.Header(), w.Body.String()}
}

func compact(t *testing.T, results ...firjob.Result) []byte {
	t.Helper()
	body, err := codec.Encode(codec.CBOR, &firjob.Callback{App: "billing", Address: "10.0.0.7:9999", Incarnation: "a", Results: results})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// Results are taken in both encodings, answered in their own, and every answer says
// which are taken.
func TestCallbacksInBothEncodings(t *testing.T) {
	t.Parallel()
	id := firjob.Fire(1, someday)
	one := firjob.Result{ID: id, Token: 7, Outcome: firjob.OutcomeSucceeded, Result: json.RawMessage(`{"rows":3}`)}
	for name, tt := range map[string]struct {
		contentType string
		body        []byte
		answer      codec.Encoding
	}{
		"JSON":             {"application/json", []byte(callback(goodResult, goodResult)), codec.JSON},
		"JSON, and a word": {"application/json; charset=utf-8", []byte(callback(goodResult, goodResult)), codec.JSON},
		"nothing said":     {"", []byte(callback(goodResult, goodResult)), codec.JSON},
		"CBOR":             {string(codec.CBOR), compact(t, one, one), codec.CBOR},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSurface(t)
			s.scheduler.receipts = []firjob.Receipt{firjob.ReceiptRecorded, firjob.ReceiptStale}
			r := s.wireAs(tt.contentType, firjob.PathCallback, tt.body).want(http.StatusConflict)
			var got firjob.CallbackReply
			if err := codec.Decode(codec.Encoding(r.header.Get("Content-Type")), []byte(r.body), &got); err != nil || !slices.Equal(got.Results, s.scheduler.receipts) {
				t.Errorf("answered %q (%v)", r.body, err)
			}
			if r.header.Get("Content-Type") != string(tt.answer) || codec.Takes(r.header.Values("Accept")) != codec.CBOR {
				t.Errorf("answered %v", r.header)
			}
		})
	}
}

func TestFaultyTypesAndEncodings(t *testing.T) {
	t.Parallel()
	good := compact(t, firjob.Result{ID: firjob.Fire(1, someday), Token: 7, Outcome: firjob.OutcomeSucceeded})
	for name, tt := range map[string]struct {
		contentType, path string
		body              []byte
		status            int
		says              string
	}{
		"another type":         {"text/plain", firjob.PathCallback, []byte(callback(goodResult)), 415, `"text/plain"`},
		"CBOR of its own":      {"application/cbor", firjob.PathCallback, good, 415, "application/json"},
		"a beat in CBOR":       {string(codec.CBOR), firjob.PathHeartbeat, good, 415, "application/json"},
		"JSON said to be CBOR": {string(codec.CBOR), firjob.PathCallback, []byte(callback(goodResult)), 400, "cannot be read"},
		"CBOR said to be JSON": {"application/json", firjob.PathCallback, good, 400, "not JSON"},
		"cut off":              {string(codec.CBOR), firjob.PathCallback, good[:len(good)-1], 400, "cannot be read"},
		"trailing bytes":       {string(codec.CBOR), firjob.PathCallback, append(slices.Clone(good), 0), 400, "cannot be read"},
		"too large":            {string(codec.CBOR), firjob.PathCallback, make([]byte, firjob.MaxCallbackBody+1), 413, "larger"},
		"no token":             {string(codec.CBOR), firjob.PathCallback, compact(t, firjob.Result{ID: firjob.Fire(1, someday), Outcome: firjob.OutcomeSucceeded}), 422, "above 0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newSurface(t).wireAs(tt.contentType, tt.path, tt.body)
			p := r.problem()
			if r.status != tt.status || !strings.Contains(r.body, strings.ReplaceAll(tt.says, `"`, `\"`)) || p.Code == firjob.CodeInternal {
				t.Errorf("got %d %s, want %d and %q", r.status, r.body, tt.status, tt.says)
			}
		})
	}
}

// A faulty result in CBOR fails alone, too.
func TestAFaultyResultInCBOR(t *testing.T) {
	t.Parallel()
	for says, value := range map[string]string{"result must be valid JSON": "{", "result must be nested at most": nested(101)} {
		s := newSurface(t)
		s.scheduler.receipts = []firjob.Receipt{firjob.ReceiptRecorded}
		body := compact(t, firjob.Result{ID: firjob.Fire(1, someday), Token: 7, Outcome: firjob.OutcomeSucceeded, Result: json.RawMessage(value)})
		s.wireAs(string(codec.CBOR), firjob.PathCallback, body).want(http.StatusOK)
		if got := s.scheduler.results[0]; got.Outcome != firjob.OutcomeFailed || !got.Permanent || !strings.Contains(got.Error, says) {
			t.Errorf("recorded %+v, want a permanent failure that says %q", got, says)
		}
	}
}
