package dev

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/cmd/firjob/internal/client"
)

// What ended in an earlier run was shown by it, also if it was scheduled for later.
func TestDemoLeavesOutWhatEndedInAnEarlierRun(t *testing.T) {
	t.Parallel()
	const answer = `{"items":[
		{"id":"019aaa00-0000-8000-8000-000000000003","job":"now","state":"succeeded","finished_at":"2026-11-22T06:00:02Z"},
		{"id":"019aaa00-0000-8000-8000-000000000002","job":"coming","state":"planned"},
		{"id":"019aaa00-0000-8000-8000-000000000001","job":"before","state":"cancelled","finished_at":"2026-11-22T05:59:00Z"}]}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(answer))
	}))
	t.Cleanup(server.Close)
	base, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	d := &demo{api: &client.Client{Base: base, HTTP: server.Client()}, since: time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)}
	ended, err := d.ended(t.Context(), map[firjob.ExecutionID]bool{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range ended {
		names = append(names, e.Job)
	}
	if diff := cmp.Diff([]string{"now"}, names); diff != "" {
		t.Errorf("shown (-want +got):\n%s", diff)
	}
}
