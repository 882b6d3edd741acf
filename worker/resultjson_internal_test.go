package worker

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/firjob/firjob"
)

// Results are written without reflection: the bytes are those that encoding/json
// makes of the same result, so that a field cannot be forgotten or misnamed.
func TestResultsAreWrittenAsByEncodingJSON(t *testing.T) {
	t.Parallel()
	if n := reflect.TypeFor[firjob.Result]().NumField(); n != 9 {
		t.Errorf("a result has %d fields; encodeResult writes 9", n)
	}
	rapid.Check(t, func(t *rapid.T) {
		r := firjob.Result{
			ID:         firjob.ExecutionID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id")),
			Token:      rapid.Int64().Draw(t, "token"),
			Outcome:    rapid.SampledFrom([]firjob.Outcome{firjob.OutcomeSucceeded, firjob.OutcomeFailed, firjob.OutcomeTimedOut, firjob.OutcomeCancelled}).Draw(t, "outcome"),
			Error:      rapid.OneOf(rapid.Just(""), rapid.String(), rapid.StringMatching(`[<>&"\\\x00-\x1f\x{2028}é]*`)).Draw(t, "error"),
			Result:     drawResult(t),
			StartedAt:  drawTime(t, "started"),
			FinishedAt: drawTime(t, "finished"),
			Permanent:  rapid.Bool().Draw(t, "permanent"),
			RetryAfter: firjob.Duration(rapid.OneOf(rapid.Just(int64(0)), rapid.Int64()).Draw(t, "retry after")),
		}
		var want bytes.Buffer
		enc := json.NewEncoder(&want)
		enc.SetEscapeHTML(false)
		wantErr := enc.Encode(r)
		got, own, err := encodeResult(r)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%+v: %v, encoding/json: %v", r, err, wantErr)
		}
		if err == nil && !bytes.Equal(own, r.Result) {
			t.Fatalf("its own JSON is %s, want %s", own, r.Result)
		}
		if err == nil && string(got)+"\n" != want.String() {
			t.Fatalf("got  %s\nwant %s", got, want.Bytes())
		}
	})
}

// drawResult makes what Task.SetResult takes over.
func drawResult(t *rapid.T) json.RawMessage {
	var value any
	switch rapid.IntRange(0, 3).Draw(t, "kind of result") {
	case 0:
		return nil
	case 1:
		value = rapid.String().Draw(t, "text")
	case 2:
		value = rapid.MapOf(rapid.String(), rapid.Float64Range(-1e9, 1e9)).Draw(t, "object")
	}
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// drawTime returns any instant in any zone, now and then one that RFC 3339 has
// no way to write.
func drawTime(t *rapid.T, label string) time.Time {
	at := time.Unix(rapid.Int64Range(-1e11, 3e11).Draw(t, label), rapid.Int64Range(0, 1e9-1).Draw(t, label+" ns"))
	return at.In(time.FixedZone("", rapid.IntRange(-30*3600, 30*3600).Draw(t, label+" zone")))
}
