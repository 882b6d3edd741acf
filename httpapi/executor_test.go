package httpapi_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

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
		"held attempt": {firjob.PathHeartbeat, beat(where + `,"capacity":1,"holding":[{"id":"` + id + `","token":1},{"token":0}]`), 422, []string{"body.holding[1].id", "body.holding[1].token"}},
		"labels": {firjob.PathHeartbeat, beat(where + `,"capacity":1,"labels":{"zone":"eu","a b":"c","gpu":"","x":"a\nb"}`), 422,
			[]string{"body.labels", "body.labels.gpu", "body.labels.x"}},
		"labels as text":  {firjob.PathHeartbeat, beat(where + `,"capacity":1,"labels":"zone=eu"`), 422, []string{"body.labels"}},
		"label as number": {firjob.PathHeartbeat, beat(where + `,"capacity":1,"labels":{"zone":"eu","gpu":2}`), 422, []string{"body.labels.gpu"}},
		"leave":           {firjob.PathLeave, beat(`"address":"x","incarnation":"a","capacity":1`), 422, []string{"body.address"}},
		"token":           {firjob.PathCallback, callback(goodResult, result(id, "0", "succeeded", "1")), 422, []string{"body.results[1].token"}},
		"NUL":             {firjob.PathRegister, beat(`"address":"10.0.0.7:1","incarnation":"\u0000","version":"\u0000","capacity":1`), 422, []string{"body.incarnation", "body.version"}},
		"too many":        {firjob.PathCallback, callback(slices.Repeat([]string{goodResult}, firjob.MaxBatch+1)...), 422, []string{"body.results"}},
		"execution id":    {firjob.PathCallback, callback(result("42", "1", "failed", "1")), 422, []string{"body.results[0].id"}},
		"type":            {firjob.PathCallback, callback(result(id, `"1"`, "failed", "1")), 422, []string{"body.results[0].token"}},
		"beyond 32 bits": {firjob.PathHeartbeat, beat(where + `,"capacity":3000000000,"queue":3000000000,"running":1000001`), 422,
			[]string{"body.capacity", "body.queue", "body.running"}},
		"beyond 64 bits":   {firjob.PathHeartbeat, beat(where + `,"capacity":99999999999999999999`), 422, []string{"body.capacity"}},
		"capacity as text": {firjob.PathHeartbeat, beat(where + `,"capacity":"4"`), 422, []string{"body.capacity"}},
		"long version":     {firjob.PathHeartbeat, beat(where + `,"capacity":1,"version":"` + strings.Repeat("v", 201) + `"`), 422, []string{"body.version"}},
		"started in 1970":  {firjob.PathHeartbeat, beat(where + `,"capacity":1,"started_at":"1970-01-01T00:00:00Z"`), 422, []string{"body.started_at"}},
		"started in 9999":  {firjob.PathHeartbeat, beat(where + `,"capacity":1,"started_at":"9999-12-31T23:59:59-01:00"`), 422, []string{"body.started_at"}},
		"started at noon":  {firjob.PathHeartbeat, beat(where + `,"capacity":1,"started_at":"noon"`), 422, []string{"body.started_at"}},
		"waiting":          {firjob.PathHeartbeat, beat(where + `,"capacity":1,"waiting":[{"token":1}]`), 422, []string{"body.waiting[0].id"}},
		"holds too much": {firjob.PathHeartbeat, beat(where + `,"capacity":1,"holding":[` + strings.Repeat(`{},`, 100_000) + `{}]`), 422,
			[]string{"body.holding"}},
		"a list as body":  {firjob.PathCallback, `[]`, 422, []string{"body"}},
		"text of results": {firjob.PathCallback, `{"app":"billing","results":"x"}`, 422, []string{"body.results"}},
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

// A fault of one result ends its attempt as failed, for good, and leaves the
// others of the batch alone.
func TestAFaultyResultIsRecordedAsFailed(t *testing.T) {
	t.Parallel()
	id := firjob.Fire(1, someday).String()
	edited := func(old, replacement string) string {
		return strings.Replace(result(id, "2", "succeeded", "1"), old, replacement, 1)
	}
	tests := map[string]struct{ item, want string }{
		"too large": {result(id, "2", "succeeded", `"`+strings.Repeat("x", firjob.MaxResult)+`"`),
			"result must have at most 1048576 bytes, not 1048578"},
		"not UTF-8":          {result(id, "2", "succeeded", "\"\xff\""), "result must be UTF-8"},
		"too deep":           {result(id, "2", "succeeded", nested(101)), "result must be nested at most 100 levels deep"},
		"a server's outcome": {result(id, "2", "lost", "1"), "outcome must be succeeded, failed, timed_out or cancelled"},
		"no outcome":         {edited(`"outcome":"succeeded",`, ""), "outcome must be succeeded, failed, timed_out or cancelled"},
		"outcome's type":     {edited(`"succeeded"`, "5"), "outcome want a string, got a number"},
		"time":               {edited(`"2027-01-01T00:00:00Z"`, `"noon"`), `started_at "noon" is not a time such as 2027-01-01T00:00:00Z`},
		"time's type":        {edited(`"2027-01-01T00:00:01Z"`, `1798761601`), "finished_at want a string, got a number"},
		"error's type":       {edited(`"result"`, `"error":{},"result"`), "error want a string, got an object"},
		"retry_after's type": {edited(`"result"`, `"retry_after":90,"result"`), "retry_after want a string, got a number"},
		"permanent's type":   {edited(`"result"`, `"permanent":"no","result"`), "permanent want a boolean, got a string"},
		"with an error": {strings.Replace(result(id, "2", "lost", "1"), `"result"`, `"error":"no paper","result"`, 1),
			"outcome must be succeeded, failed, timed_out or cancelled; the handler's error: no paper"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSurface(t)
			s.scheduler.receipts = slices.Repeat([]firjob.Receipt{firjob.ReceiptRecorded}, 3)
			s.wire(firjob.PathCallback, callback(goodResult, tt.item, goodResult)).want(http.StatusOK)
			got := s.scheduler.results
			if got[0].Outcome != firjob.OutcomeSucceeded || got[2].Outcome != firjob.OutcomeSucceeded || len(got) != 3 {
				t.Fatalf("got %+v, want the others as they were", got)
			}
			want := firjob.Result{ID: firjob.Fire(1, someday), Token: 2, Outcome: firjob.OutcomeFailed, Permanent: true,
				Error: "the server refused the result: " + tt.want}
			if diff := cmp.Diff(want, got[1]); diff != "" {
				t.Errorf("recorded (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFaultsOfExecutorsAreSaidInPlainWords(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	where := `{"app":"billing","address":"10.0.0.7:9999","incarnation":"a","capacity":1,`
	tests := []struct{ path, body, want string }{
		{firjob.PathHeartbeat, where + `"queue":3000000000}`, "must be 0 to 1000000"},
		{firjob.PathHeartbeat, where + `"queue":99999999999999999999}`, "is out of range"},
		{firjob.PathHeartbeat, where + `"queue":0.5}`, "must be a whole number such as 5"},
		{firjob.PathHeartbeat, where + `"queue":"5"}`, "want an integer, got a string"},
		{firjob.PathHeartbeat, where + `"started_at":"noon"}`, `"noon" is not a time such as 2027-01-01T00:00:00Z`},
		{firjob.PathHeartbeat, where + `"started_at":5}`, "want a string, got a number"},
	}
	for _, tt := range tests {
		body := strings.Replace(tt.body, `"id":""`, `"id":"`+firjob.Fire(1, someday).String()+`"`, 1)
		p := s.wire(tt.path, body).want(422).problem()
		if len(p.Errors) != 1 || p.Errors[0].Message != tt.want {
			t.Errorf("%s: got %+v, want %q", body, p.Errors, tt.want)
		}
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
