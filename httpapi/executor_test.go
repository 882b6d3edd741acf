package httpapi_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/firjob/firjob"
)

func result(id, token, outcome, value string) string {
	return fmt.Sprintf(`{"id":%q,"token":%s,"outcome":%q,"result":%s,"started_at":"2027-01-01T00:00:00Z","finished_at":"2027-01-01T00:00:01Z"}`,
		id, token, outcome, value)
}

func callback(results ...string) string {
	return `{"app":"billing","address":"10.0.0.7:9999","incarnation":"a","results":[` + strings.Join(results, ",") + `],"from_the_future":1}`
}

var goodResult = result(firjob.Fire(1, someday).String(), "7", "succeeded", `{"rows":3}`)

func TestCallback(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		receipts []firjob.Receipt
		status   int
	}{
		"recorded":       {[]firjob.Receipt{firjob.ReceiptRecorded, firjob.ReceiptRecorded}, 200},
		"recorded again": {[]firjob.Receipt{firjob.ReceiptRecorded, firjob.ReceiptDuplicate}, 200},
		"unknown token":  {[]firjob.Receipt{firjob.ReceiptRecorded, firjob.ReceiptUnknown}, 409},
		"stale token":    {[]firjob.Receipt{firjob.ReceiptStale, firjob.ReceiptRecorded}, 409},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSurface(t)
			s.scheduler.receipts = tt.receipts
			var got firjob.CallbackReply
			s.wire(firjob.PathCallback, callback(goodResult, goodResult)).want(tt.status).into(&got)
			if !slices.Equal(got.Results, tt.receipts) {
				t.Errorf("got receipts %v, want %v", got.Results, tt.receipts)
			}
		})
	}
}

func TestFaultyMessagesOfExecutorsAreRefused(t *testing.T) {
	t.Parallel()
	id := firjob.Fire(1, someday).String()
	beat := func(fields string) string { return `{"app":"billing",` + fields + `}` }
	where := `"address":"10.0.0.7:9999","incarnation":"a"`
	tests := map[string]struct {
		path, body string
		status     int
		locations  []string
	}{
		"address":        {firjob.PathRegister, beat(`"address":"10.0.0.7","incarnation":"a","capacity":1`), 422, []string{"body.address"}},
		"no incarnation": {firjob.PathRegister, beat(`"address":"10.0.0.7:1","capacity":1`), 422, []string{"body.incarnation"}},
		"all at once": {firjob.PathHeartbeat, beat(`"address":"","incarnation":"` + strings.Repeat("a", 65) + `","capacity":0,"state":"dead"`), 422,
			[]string{"body.address", "body.capacity", "body.incarnation", "body.state"}},
		"held attempt":    {firjob.PathHeartbeat, beat(where + `,"capacity":1,"holding":[{"id":"` + id + `","token":1},{"token":0}]`), 422, []string{"body.holding[1].id", "body.holding[1].token"}},
		"leave":           {firjob.PathLeave, beat(`"address":"x","incarnation":"a","capacity":1`), 422, []string{"body.address"}},
		"token":           {firjob.PathCallback, callback(goodResult, result(id, "0", "succeeded", "1")), 422, []string{"body.results[1].token"}},
		"outcome":         {firjob.PathCallback, callback(result(id, "1", "lost", "1")), 422, []string{"body.results[0].outcome"}},
		"large result":    {firjob.PathCallback, callback(goodResult, result(id, "1", "failed", `"`+strings.Repeat("x", firjob.MaxResult)+`"`)), 422, []string{"body.results[1].result"}},
		"broken result":   {firjob.PathCallback, callback(result(id, "1", "failed", "\"\xff\"")), 422, []string{"body.results[0].result"}},
		"NUL":             {firjob.PathRegister, beat(`"address":"10.0.0.7:1","incarnation":"\u0000","version":"\u0000","capacity":1`), 422, []string{"body.incarnation", "body.version"}},
		"too many":        {firjob.PathCallback, callback(slices.Repeat([]string{goodResult}, firjob.MaxBatch+1)...), 422, []string{"body.results"}},
		"execution id":    {firjob.PathCallback, callback(result("42", "1", "failed", "1")), 422, []string{"body"}},
		"type":            {firjob.PathCallback, callback(result(id, `"1"`, "failed", "1")), 422, []string{"body.results.token"}},
		"not JSON":        {firjob.PathCallback, `results`, 400, nil},
		"nothing":         {firjob.PathCallback, ``, 400, nil},
		"body too large":  {firjob.PathCallback, strings.Repeat(" ", firjob.MaxCallbackBody+1), 413, nil},
		"no such surface": {"/executor/v1/nothing", `{}`, 404, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSurface(t)
			p := s.wire(tt.path, tt.body).want(tt.status).problem()
			if got := p.locations(); !slices.Equal(got, tt.locations) {
				t.Errorf("got faults at %v, want %v", got, tt.locations)
			}
			if len(s.scheduler.made) != 0 {
				t.Errorf("the scheduler was asked %v", s.scheduler.made)
			}
		})
	}
}

// A handler's error is cut to what can be kept, never refused.
func TestErrorsOfHandlersAreKept(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	s.scheduler.receipts = []firjob.Receipt{firjob.ReceiptRecorded, firjob.ReceiptRecorded}
	long := strings.Repeat("é", 8<<10)
	id := firjob.Fire(1, someday).String()
	body := callback(strings.Replace(result(id, "1", "failed", "1"), `"result"`, `"error":"a\u0000b","result"`, 1),
		strings.Replace(result(id, "2", "failed", "1"), `"result"`, `"error":"`+long+`","result"`, 1))
	s.wire(firjob.PathCallback, body).want(http.StatusOK)
	if got := s.scheduler.results[0].Error; got != "ab" {
		t.Errorf("got the error %q, want ab", got)
	}
	if got := s.scheduler.results[1].Error; len(got) > 8<<10 || !utf8.ValidString(got) || !strings.HasSuffix(got, "é…") {
		t.Errorf("got an error of %d bytes that ends in %q", len(got), got[len(got)-6:])
	}
}

func TestBeatAndLeave(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	body := `{"app":"billing","address":"10.0.0.7:9999","incarnation":"a","capacity":4,"news":true}`
	var got firjob.BeatReply
	s.wire(firjob.PathRegister, body).want(http.StatusOK).into(&got)
	if !got.Now.Equal(someday) {
		t.Errorf("got %+v", got)
	}
	s.wire(firjob.PathHeartbeat, body).want(http.StatusOK)
	s.wire(firjob.PathLeave, body).want(http.StatusNoContent)
	want := []string{"beat billing 10.0.0.7:9999", "beat billing 10.0.0.7:9999", "leave billing 10.0.0.7:9999 a"}
	if !slices.Equal(s.scheduler.made, want) {
		t.Errorf("the scheduler was asked %v, want %v", s.scheduler.made, want)
	}
}

func BenchmarkCallback(b *testing.B) {
	s := benchSurface(b)
	body := callback(slices.Repeat([]string{goodResult}, firjob.MaxBatch)...)
	s.scheduler.receipts = slices.Repeat([]firjob.Receipt{firjob.ReceiptRecorded}, firjob.MaxBatch)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if code := s.post(firjob.PathCallback, body); code != http.StatusOK {
			b.Fatalf("got status %d", code)
		}
	}
}
