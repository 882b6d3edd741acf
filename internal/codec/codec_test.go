package codec_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/codec"
)

// Whatever a message says, both encodings say the same, down to the microsecond;
// and nothing of what was read hangs on the bytes that it was read from.
func TestBothEncodingsSayTheSame(t *testing.T) {
	t.Parallel()
	t.Run("triggers", same(drawTriggers))
	t.Run("answers", same(func(t *rapid.T) firjob.TriggerReply {
		return firjob.TriggerReply{Incarnation: rapid.String().Draw(t, "incarnation"), Results: rapid.SliceOfN(rapid.SampledFrom(
			[]firjob.Acceptance{firjob.Accepted, firjob.RefusedFull, firjob.RefusedStale, firjob.RefusedHandler, firjob.RefusedDrain}), 0, 20).Draw(t, "results")}
	}))
	t.Run("results", same(drawCallback))
	t.Run("receipts", same(func(t *rapid.T) firjob.CallbackReply {
		return firjob.CallbackReply{Results: rapid.SliceOfN(rapid.SampledFrom(
			[]firjob.Receipt{firjob.ReceiptRecorded, firjob.ReceiptDuplicate, firjob.ReceiptStale, firjob.ReceiptUnknown}), 0, 20).Draw(t, "results")}
	}))
}

func same[M codec.Message](draw func(*rapid.T) M) func(*testing.T) {
	return func(t *testing.T) {
		t.Parallel()
		rapid.Check(t, func(t *rapid.T) {
			m := draw(t)
			viaJSON, viaCBOR := through(t, codec.JSON, m), through(t, codec.CBOR, m)
			if diff := cmp.Diff(viaJSON, viaCBOR, cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })); diff != "" {
				t.Fatalf("JSON and CBOR differ (-JSON +CBOR):\n%s", diff)
			}
		})
	}
}

func through[M codec.Message](t *rapid.T, e codec.Encoding, m M) (got M) {
	body, err := codec.Encode(e, &m)
	if err != nil {
		t.Fatalf("write %s: %v", e, err)
	}
	if err := codec.Decode(e, body, &got); err != nil {
		t.Fatalf("read %s: %v", e, err)
	}
	for i := range body {
		body[i] = 'x'
	}
	return got
}

func drawTriggers(t *rapid.T) firjob.TriggerBatch {
	b := firjob.TriggerBatch{App: rapid.String().Draw(t, "app"), SentAt: drawTime(t, "sent")}
	b.Triggers = make([]firjob.Trigger, rapid.IntRange(0, 5).Draw(t, "triggers"))
	for i := range b.Triggers {
		tr := &b.Triggers[i]
		*tr = firjob.Trigger{
			ID: drawID(t), JobID: firjob.JobID(rapid.Uint32().Draw(t, "job id")), Job: rapid.String().Draw(t, "job"),
			Handler: rapid.String().Draw(t, "handler"), Kind: firjob.Kind(rapid.IntRange(0, 3).Draw(t, "kind")),
			Params: drawJSON(t, "params"), ScheduledAt: drawTime(t, "scheduled"), Attempt: rapid.Int().Draw(t, "attempt"),
			Token: rapid.Int64().Draw(t, "token"), Timeout: drawDuration(t, "timeout"), Lease: drawDuration(t, "lease"),
			Exclusive: rapid.Bool().Draw(t, "exclusive"), Inputs: drawJSON(t, "inputs"),
		}
		if rapid.Bool().Draw(t, "shard") {
			tr.Shard = &firjob.ShardOf{Index: rapid.Int().Draw(t, "index"), Total: rapid.Int().Draw(t, "total")}
		}
	}
	return b
}

func drawCallback(t *rapid.T) firjob.Callback {
	c := firjob.Callback{App: rapid.String().Draw(t, "app"), Address: rapid.String().Draw(t, "address"), Incarnation: rapid.String().Draw(t, "incarnation")}
	c.Results = make([]firjob.Result, rapid.IntRange(0, 5).Draw(t, "results"))
	for i := range c.Results {
		c.Results[i] = firjob.Result{
			ID: drawID(t), Token: rapid.Int64().Draw(t, "token"), Error: rapid.String().Draw(t, "error"), Result: drawJSON(t, "result"),
			Outcome:   rapid.SampledFrom([]firjob.Outcome{firjob.OutcomeSucceeded, firjob.OutcomeFailed, firjob.OutcomeTimedOut, firjob.OutcomeCancelled}).Draw(t, "outcome"),
			StartedAt: drawTime(t, "started"), FinishedAt: drawTime(t, "finished"),
			Permanent: rapid.Bool().Draw(t, "permanent"), RetryAfter: drawDuration(t, "retry after"),
		}
	}
	return c
}

func drawID(t *rapid.T) firjob.ExecutionID {
	id := firjob.NewExecutionID(firjob.JobID(rapid.Uint32().Draw(t, "job")), time.UnixMilli(rapid.Int64Range(0, 1<<48-1).Draw(t, "at")),
		firjob.Kind(rapid.IntRange(0, 3).Draw(t, "id kind")), rapid.Uint32().Draw(t, "nonce"))
	return id.Shard(rapid.IntRange(0, firjob.MaxShards-1).Draw(t, "ordinal"))
}

// drawTime returns what both can write: an instant of the years 1 to 9999, or none.
func drawTime(t *rapid.T, label string) time.Time {
	if rapid.Bool().Draw(t, label+" is known") {
		return time.UnixMicro(rapid.Int64Range(-62135596800e6+1, 253402300800e6-1).Filter(func(n int64) bool { return n != 0 }).Draw(t, label)).UTC()
	}
	return time.Time{}
}

func drawDuration(t *rapid.T, label string) firjob.Duration {
	return firjob.Duration(rapid.Int64Range(-1<<62, 1<<62).Draw(t, label))
}

func drawJSON(t *rapid.T, label string) json.RawMessage {
	var value any
	switch rapid.IntRange(0, 3).Draw(t, label+" kind") {
	case 0:
		return nil
	case 1:
		value = rapid.String().Draw(t, label)
	case 2:
		value = rapid.MapOf(rapid.String(), rapid.Float64Range(-1e9, 1e9)).Draw(t, label)
	}
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// The numbers are the protocol: other programs rely on them.
func TestTheBytes(t *testing.T) {
	t.Parallel()
	id := firjob.Fire(7, time.UnixMilli(1700000000001))
	for name, c := range map[string]struct {
		encode func() ([]byte, error)
		want   string
	}{
		"a batch": {func() ([]byte, error) {
			return codec.Encode(codec.CBOR, &firjob.TriggerBatch{App: "a", SentAt: time.UnixMicro(5), Triggers: []firjob.Trigger{{ID: id, JobID: 7, Job: "j", Handler: "h",
				Kind: firjob.KindManual, Params: json.RawMessage("1"), ScheduledAt: time.UnixMicro(6), Attempt: 1, Token: 2, Timeout: 3, Lease: 4,
				Exclusive: true, Shard: &firjob.ShardOf{Index: 0, Total: 2}, Inputs: json.RawMessage("[]")}}})
		}, "a3 016161 0205 0381 ae 0150018bcfe56801800080000000 00000007 0207 03616a 046168 0501 064131 0706 0801 0902 0a03 0b04 0cf5 0da201000202 0e425b5d"},
		"its answer": {func() ([]byte, error) {
			return codec.Encode(codec.CBOR, &firjob.TriggerReply{Incarnation: "i", Results: []firjob.Acceptance{firjob.Accepted, firjob.RefusedFull,
				firjob.RefusedStale, firjob.RefusedHandler, firjob.RefusedDrain}})
		}, "a2 016169 02450102030405"},
		"a callback": {func() ([]byte, error) {
			return codec.Encode(codec.CBOR, &firjob.Callback{App: "a", Address: "b", Incarnation: "i", Results: []firjob.Result{
				{ID: id, Token: 2, Outcome: firjob.OutcomeFailed, Error: "e", Result: json.RawMessage("{}"), StartedAt: time.UnixMicro(1), FinishedAt: time.UnixMicro(2),
					Permanent: true, RetryAfter: 3},
				{ID: id, Token: 3, Outcome: firjob.OutcomeSucceeded}}})
		}, "a4 016161 026162 036169 0482 a9 0150018bcfe5680180008000000000000007 0202 0302 046165 05427b7d 0601 0702 08f5 0903" +
			" a3 0150018bcfe5680180008000000000000007 0203 0301"},
		"its answer's receipts": {func() ([]byte, error) {
			return codec.Encode(codec.CBOR, &firjob.CallbackReply{Results: []firjob.Receipt{firjob.ReceiptRecorded, firjob.ReceiptDuplicate, firjob.ReceiptStale, firjob.ReceiptUnknown}})
		}, "a1 014401020304"},
	} {
		got, err := c.encode()
		if want := strings.ReplaceAll(c.want, " ", ""); err != nil || hex.EncodeToString(got) != want {
			t.Errorf("%s is %x (%v), want %s", name, got, err, want)
		}
	}
}

// A reader passes over fields that it does not know.
func TestUnknownFieldsArePassedOver(t *testing.T) {
	t.Parallel()
	body, err := cbor.Marshal(map[any]any{4: []any{map[any]any{2: 5, 3: 1, 60: []string{"new"}, "name": 1.5}}, 1: "a", 99: map[int]bool{1: true}})
	if err != nil {
		t.Fatal(err)
	}
	var got firjob.Callback
	if err := codec.Decode(codec.CBOR, body, &got); err != nil || got.App != "a" || len(got.Results) != 1 || got.Results[0].Token != 5 {
		t.Errorf("read %+v, %v", got, err)
	}
}

func TestFaultyMessagesAreRefused(t *testing.T) {
	t.Parallel()
	good := map[int]any{1: validID(), 2: 1, 3: 1}
	but := func(key int, value any) []byte {
		item := map[int]any{}
		for k, v := range good {
			item[k] = v
		}
		item[key] = value
		return marshal(t, map[int]any{1: "a", 4: []any{item}})
	}
	deep := marshal(t, map[int]any{1: "a", 50: []any{[]any{[]any{[]any{[]any{[]any{[]any{[]any{1}}}}}}}}})
	for name, body := range map[string][]byte{
		"nothing":                  nil,
		"text":                     []byte("hello"),
		"JSON":                     []byte(`{"app":"a"}`),
		"a number":                 {0x01},
		"cut off":                  but(2, 7)[:20],
		"trailing bytes":           append(but(2, 7), 0),
		"a key twice":              {0xa2, 0x01, 0x61, 'a', 0x01, 0x61, 'b'},
		"an endless map":           {0xbf, 0x01, 0x61, 'a', 0xff},
		"an endless string":        {0xa1, 0x01, 0x7f, 0x61, 'a', 0xff},
		"a tag":                    {0xa1, 0x01, 0xc1, 0x61, 'a'},
		"a list said to be huge":   {0xa1, 0x04, 0x9b, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff},
		"more than a batch":        marshal(t, map[int]any{4: make([]any, firjob.MaxBatch+1)}),
		"nested too deeply":        deep,
		"text that is not UTF-8":   {0xa1, 0x01, 0x61, 0xff},
		"a short id":               but(1, validID()[:15]),
		"a long id":                but(1, append(validID(), 0)),
		"an id of another version": but(1, bytes.Repeat([]byte{1}, 16)),
		"an id as a list":          but(1, slices.Repeat([]int{1}, 16)),
		"a short id as a list":     but(1, []int{1, 1, 1}),
		"an id as text":            but(1, "018bcfe5-6801-8000-8000-000000000007"),
		"a token as text":          but(2, "1"),
		"a token beyond 64 bits":   but(2, uint64(1<<63)),
		"a token with a fraction":  but(2, 1.5),
		"no outcome":               but(3, 0),
		"an unknown outcome":       but(3, 5),
		"an outcome beyond a byte": but(3, 257),
		"a time after 9999":        but(6, int64(253402300800e6)),
		"a time before 1":          but(7, int64(-62135596800e6-1)),
	} {
		var got firjob.Callback
		if err := codec.Decode(codec.CBOR, body, &got); err == nil {
			t.Errorf("%s: read as %+v", name, got)
		}
	}
	var batch firjob.TriggerBatch
	for name, tr := range map[string]map[int]any{
		"params that are no JSON": {1: validID(), 6: []byte("{")},
		"inputs that are no JSON": {1: validID(), 14: []byte("[1,]")},
		"an unknown kind":         {1: validID(), 5: 4},
	} {
		if err := codec.Decode(codec.CBOR, marshal(t, map[int]any{3: []any{tr}}), &batch); err == nil {
			t.Errorf("%s: read as %+v", name, batch)
		}
	}
	var reply firjob.TriggerReply
	if err := codec.Decode(codec.CBOR, marshal(t, map[int]any{2: []byte{1, 6}}), &reply); err == nil {
		t.Errorf("an unknown answer is read as %v", reply.Results)
	}
	if err := codec.Decode(codec.CBOR, marshal(t, map[int]any{2: bytes.Repeat([]byte{1}, firjob.MaxBatch+1)}), &reply); err == nil {
		t.Error("more answers than a batch has triggers are read")
	}
}

// What is left of a refused or an earlier message is not in the next one.
func TestMessagesLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	full := marshal(t, map[int]any{4: []any{map[int]any{1: validID(), 2: 9, 3: 2, 4: "an error", 5: []byte("1"), 8: true, 9: 5}}})
	torn := marshal(t, map[int]any{4: []any{map[int]any{1: validID(), 2: 9, 3: 2, 4: "an error", 5: []byte("1")}, map[int]any{2: "x"}}})
	bare := marshal(t, map[int]any{4: []any{map[int]any{1: validID(), 2: 1, 3: 1}}})
	want := firjob.Callback{Results: []firjob.Result{{ID: firjob.ExecutionID(validID()), Token: 1, Outcome: firjob.OutcomeSucceeded}}}
	for range 100 {
		var ignored, got firjob.Callback
		_ = codec.Decode(codec.CBOR, full, &ignored)
		_ = codec.Decode(codec.CBOR, torn, &ignored)
		if err := codec.Decode(codec.CBOR, bare, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	}
}

func TestErrorsThatAreNotUTF8ArriveReadable(t *testing.T) {
	t.Parallel()
	body, err := codec.Encode(codec.CBOR, &firjob.Callback{Results: []firjob.Result{{ID: firjob.ExecutionID(validID()), Token: 1, Outcome: firjob.OutcomeFailed, Error: "a\xffb"}}})
	if err != nil {
		t.Fatal(err)
	}
	var got firjob.Callback
	if err := codec.Decode(codec.CBOR, body, &got); err != nil || got.Results[0].Error != "a\uFFFDb" {
		t.Errorf("read %+v, %v", got, err)
	}
}

func TestTypesOfBodies(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]codec.Encoding{
		"":                                codec.JSON,
		"application/json":                codec.JSON,
		"Application/JSON; charset=utf-8": codec.JSON,
		"application/vnd.firjob.v1+cbor":  codec.CBOR,
		"application/cbor":                "",
		"application/vnd.firjob.v2+cbor":  "",
		"text/plain":                      "",
		";":                               "",
	} {
		got, err := codec.Of(header)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("Of(%q) = %q, %v; want %q", header, got, err, want)
		}
	}
	for header, want := range map[string]codec.Encoding{
		"": codec.JSON, "application/json": codec.JSON, codec.Accepts: codec.CBOR,
		"application/json, application/vnd.firjob.v1+cbor;q=0.5": codec.CBOR, "application/vnd.firjob.v1+cborx": codec.JSON,
		"application/vnd.firjob.v1+cbor; q=0": codec.JSON, "application/vnd.firjob.v1+cbor;q=0.000, application/json": codec.JSON,
	} {
		if got := codec.Takes([]string{"text/html", header}); got != want {
			t.Errorf("Takes(%q) = %q, want %q", header, got, want)
		}
	}
}

// Hostile bytes are refused or read as something that can be written and read again.
func FuzzCallback(f *testing.F) {
	f.Add(marshal(f, map[int]any{1: "a", 2: "127.0.0.1:1", 3: "i", 4: []any{map[int]any{1: validID(), 2: 1, 3: 2, 4: "e", 5: []byte("{}"), 6: 1, 7: 2, 8: true, 9: 3}}}))
	f.Add([]byte{0xa1, 0x04, 0x9b, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{0xbf, 0xff})
	f.Fuzz(fuzz[firjob.Callback])
}

func FuzzTriggerBatch(f *testing.F) {
	f.Add(marshal(f, map[int]any{1: "a", 2: 5, 3: []any{map[int]any{1: validID(), 2: 7, 3: "j", 4: "h", 5: 1, 6: []byte("{}"), 7: 6, 8: 1, 9: 2, 10: 3, 11: 4, 12: true,
		13: map[int]any{1: 0, 2: 2}, 14: []byte("[]")}}}))
	f.Add([]byte{0xa1, 0x03, 0x81, 0xa1, 0x0d, 0xf6})
	f.Add([]byte{0xd8, 0x20, 0xa0})
	f.Fuzz(fuzz[firjob.TriggerBatch])
}

func fuzz[M codec.Message](t *testing.T, body []byte) {
	var m, again M
	if codec.Decode(codec.CBOR, body, &m) != nil {
		return
	}
	first, err := codec.Encode(codec.CBOR, &m)
	if err != nil {
		t.Fatalf("what was read cannot be written: %v", err)
	}
	if err := codec.Decode(codec.CBOR, first, &again); err != nil {
		t.Fatalf("what was written cannot be read: %v", err)
	}
	second, err := codec.Encode(codec.CBOR, &again)
	if err != nil || !bytes.Equal(first, second) {
		t.Fatalf("%x became %x (%v)", first, second, err)
	}
}

func validID() []byte {
	id := firjob.Fire(7, time.UnixMilli(1700000000001))
	return id[:]
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	body, err := cbor.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return body
}
