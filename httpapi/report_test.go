package httpapi_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob"
)

// Start grants every second attempt.
func (c *calls) Start(_ context.Context, s firjob.Start) (firjob.StartReply, error) {
	c.note("start %s %d", s.Address, len(s.Attempts))
	c.start = s
	reply := firjob.StartReply{Lease: firjob.Duration(10 * time.Second), Granted: []bool{}}
	for i := range s.Attempts {
		reply.Granted = append(reply.Granted, i%2 == 0)
	}
	return reply, c.away
}

// Report says that the first attempt's log was cut.
func (c *calls) Report(_ context.Context, r firjob.Report) (firjob.ReportReply, error) {
	c.note("report %s %d %d", r.Address, len(r.Logs), len(r.Progress))
	c.report = r
	if len(r.Logs) == 0 {
		return firjob.ReportReply{}, c.away
	}
	return firjob.ReportReply{Cut: []firjob.AttemptRef{r.Logs[0].AttemptRef}}, c.away
}

func fromExecutor(fields string) string {
	return `{"app":"billing","address":"10.0.0.7:9999","incarnation":"a",` + fields + `,"from_the_future":1}`
}

func ref(token int) string { return fmt.Sprintf(`"id":%q,"token":%d`, logged, token) }

func TestStartRequests(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	body := fromExecutor(`"attempts":[{` + ref(7) + `},{` + ref(8) + `}]`)
	var got firjob.StartReply
	s.wire(firjob.PathStart, body).want(200).into(&got)
	if diff := cmp.Diff(firjob.StartReply{Granted: []bool{true, false}, Lease: firjob.Duration(10 * time.Second)}, got); diff != "" {
		t.Errorf("the answer (-want +got):\n%s", diff)
	}
	s.scheduler.away = firjob.Errorf(firjob.CodeUnavailable, "the database cannot be reached")
	if r := s.wire(firjob.PathStart, body).want(503); r.header.Get("Retry-After") == "" {
		t.Error("the executor is not told when to ask again")
	}
	s.do("POST", firjob.PathStart, body).want(401)
	s.wire(firjob.PathStart, strings.Replace(body, "billing", "other", 1)).want(403)
}

func TestReports(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	now := time.Now().UTC().Format(time.RFC3339Nano)
	body := fromExecutor(`"logs":[{` + ref(7) + `,"first":5,"lines":[
			{"at":"` + now + `","level":"INFO+2","text":"hello","attrs":{"n":1}},
			{"at":"1970-01-01T00:00:00Z","level":"DEBUG","text":""}]}],
		"progress":[{` + ref(7) + `,"percent":40,"note":"half-way"}]`)
	var got firjob.ReportReply
	s.wire(firjob.PathReport, body).want(200).into(&got)
	if diff := cmp.Diff([]firjob.AttemptRef{{ID: logged, Token: 7}}, got.Cut); diff != "" {
		t.Errorf("cut (-want +got):\n%s", diff)
	}
	c := s.scheduler.report.Logs[0]
	if c.First != 5 || c.Token != 7 || len(c.Lines) != 2 || c.Lines[0].Text != "hello" {
		t.Errorf("the scheduler got %+v", c)
	}
	if p := s.scheduler.report.Progress[0]; p.Percent != 40 || p.Note != "half-way" || p.ID != logged {
		t.Errorf("the scheduler got %+v", p)
	}
}

func TestFaultyReports(t *testing.T) {
	t.Parallel()
	line := func(fields string) string {
		return `"logs":[{` + ref(7) + `,"first":1,"lines":[{"at":"2027-01-01T00:00:00Z",` + fields + `}]}]`
	}
	tests := map[string]struct {
		path, fields string
		locations    []string
	}{
		"attempt of a start":  {firjob.PathStart, `"attempts":[{` + ref(0) + `}]`, []string{"body.attempts[0].token"}},
		"attempts of a start": {firjob.PathStart, `"attempts":7`, []string{"body.attempts"}},
		"all at once": {firjob.PathReport, `"logs":[{` + ref(0) + `,"first":0,"lines":[]}],"progress":[{` + ref(1) + `,"percent":101}]`,
			[]string{"body.logs[0].first", "body.logs[0].lines", "body.logs[0].token", "body.progress[0].percent"}},
		"level":       {firjob.PathReport, line(`"level":"LOUD","text":"x"`), []string{"body.logs[0].lines[0].level"}},
		"long line":   {firjob.PathReport, line(`"level":"INFO","text":"` + strings.Repeat("x", firjob.MaxLogLine+1) + `"`), []string{"body.logs[0].lines[0].text"}},
		"attributes":  {firjob.PathReport, line(`"level":"INFO","text":"x","attrs":[1]`), []string{"body.logs[0].lines[0].attrs"}},
		"time":        {firjob.PathReport, line(`"level":"INFO","text":"x","at":"noon"`), []string{"body.logs[0].lines[0].at"}},
		"line number": {firjob.PathReport, `"logs":[{` + ref(7) + `,"first":"1","lines":[]}]`, []string{"body.logs[0].first"}},
		"long note": {firjob.PathReport, `"progress":[{` + ref(1) + `,"percent":1,"note":"` + strings.Repeat("x", firjob.MaxNote+1) + `"}]`,
			[]string{"body.progress[0].note"}},
	}
	for name, tt := range tests {
		s := newSurface(t)
		got := s.wire(tt.path, fromExecutor(tt.fields)).want(422).problem().locations()
		if diff := cmp.Diff(tt.locations, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if len(s.scheduler.made) > 0 {
			t.Errorf("%s: the scheduler was asked %v", name, s.scheduler.made)
		}
	}
	newSurface(t).wire(firjob.PathReport, fromExecutor(`"x":"`+strings.Repeat("x", firjob.MaxReportBody)+`"`)).want(413)
}
