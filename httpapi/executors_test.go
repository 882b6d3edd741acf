package httpapi_test

import (
	"net/http"
	"net/url"
	"slices"
	"testing"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

func view(address string, counts firjob.ExecutorState, labels map[string]string) ports.ExecutorView {
	return ports.ExecutorView{Live: true, Counts: counts, Executor: firjob.Executor{App: "billing", Address: address,
		Incarnation: "i-" + address, Capacity: 4, State: firjob.ExecutorActive, Labels: labels, StartedAt: someday, LastBeat: someday}}
}

// someExecutors are one of each kind.
func someExecutors() []ports.ExecutorView {
	cordoned := view("b:1", firjob.ExecutorCordoned, map[string]string{"zone": "eu"})
	cordoned.Mark = &firjob.Mark{State: firjob.ExecutorCordoned, Reason: "disk", CreatedAt: someday}
	broken := view("c:1", firjob.ExecutorActive, map[string]string{"zone": "us"})
	broken.Contact = ports.Contact{BreakerOpen: true, LastError: "executor c:1 answered with status 500", LastErrorAt: someday}
	broken.SeenBy = "server-1"
	absent := ports.ExecutorView{Executor: firjob.Executor{App: "billing", Address: "d:1"}, Counts: firjob.ExecutorDraining,
		Mark: &firjob.Mark{State: firjob.ExecutorDraining, CreatedAt: someday}}
	return []ports.ExecutorView{view("a:1", firjob.ExecutorActive, map[string]string{"zone": "eu", "gpu": "a,b=c"}), cordoned, broken, absent}
}

func TestExecutorsAreFiltered(t *testing.T) {
	t.Parallel()
	for query, want := range map[string][]string{
		"":                             {"a:1", "b:1", "c:1", "d:1"},
		"?state=active":                {"a:1", "c:1"},
		"?state=draining":              {"d:1"},
		"?label=zone%3Deu":             {"a:1", "b:1"},
		"?label=zone=eu&state=active":  {"a:1"},
		"?label=zone=eu&label=gpu=a,b": nil,
		"?label=zone=eu&label=gpu=" + url.QueryEscape("a,b=c"): {"a:1"},
	} {
		t.Run(query, func(t *testing.T) {
			t.Parallel()
			s := newSurface(t)
			s.scheduler.executors = someExecutors()
			var got struct{ Items []struct{ Address string } }
			s.call("GET", "/api/v1/apps/billing/executors"+query, "").want(http.StatusOK).into(&got)
			var addresses []string
			for _, e := range got.Items {
				addresses = append(addresses, e.Address)
			}
			if !slices.Equal(addresses, want) {
				t.Errorf("got %v, want %v", addresses, want)
			}
		})
	}
}

func TestFaultyFiltersOfExecutors(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	for query, want := range map[string]string{
		"state=dead":                  "query.state",
		"label=zone":                  "query.label",
		"label=zone=eu&label=zone=us": "query.label",
	} {
		p := s.call("GET", "/api/v1/apps/billing/executors?"+query, "").want(http.StatusUnprocessableEntity).problem()
		if got := p.locations(); !slices.Equal(got, []string{want}) {
			t.Errorf("%s: faults at %v, want %s", query, got, want)
		}
	}
	s.call("GET", "/api/v1/apps/nobody/executors", "").want(http.StatusNotFound)
}

func TestBodyOfExecutors(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	s.scheduler.executors = someExecutors()
	golden(t, "testdata/executors.json", s.call("GET", "/api/v1/apps/billing/executors", "").want(http.StatusOK).indented())
}

func TestSetExecutorState(t *testing.T) {
	t.Parallel()
	for address, path := range map[string]string{
		"10.0.0.7:9999": "10.0.0.7%3A9999",
		"b.example:1":   "b.example:1",
		"[::1]:9999":    "%5B%3A%3A1%5D%3A9999",
	} {
		t.Run(address, func(t *testing.T) {
			t.Parallel()
			s := newSurface(t)
			path = "/api/v1/apps/billing/executors/" + path + "/state"
			var got struct{ State, Reason string }
			s.call("PUT", path, `{"state":"cordoned","reason":" disk is full "}`).want(http.StatusOK).into(&got)
			if got.State != "cordoned" || got.Reason != "disk is full" {
				t.Errorf("got %+v", got)
			}
			s.call("PUT", path+"?dry_run=true", `{"state":"draining"}`).want(http.StatusOK)
			s.call("PUT", path, `{"state":"active"}`).want(http.StatusOK)
			want := []string{"mark billing " + address + ` cordoned "disk is full"`, "mark billing " + address + ` active ""`}
			if !slices.Equal(s.scheduler.made, want) {
				t.Errorf("the scheduler was told %q, want %q", s.scheduler.made, want)
			}
		})
	}
}

func TestFaultyStatesOfExecutorsAreRefused(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	tests := []struct {
		address, body string
		status        int
		locations     []string
	}{
		{"a:1", `{"state":"dead","reason":"\u0000","by":1}`, 422, []string{"body.by", "body.reason", "body.state"}},
		{"a:1", `{}`, 422, []string{"body.state"}},
		{"a:1", `{"state":1}`, 422, []string{"body.state"}},
		{"a", `{"state":"active"}`, 422, []string{"path.address"}},
		{"a:1", `state`, 400, nil},
	}
	for _, tt := range tests {
		p := s.call("PUT", "/api/v1/apps/billing/executors/"+tt.address+"/state", tt.body).want(tt.status).problem()
		if got := p.locations(); !slices.Equal(got, tt.locations) {
			t.Errorf("%s %s: faults at %v, want %v", tt.address, tt.body, got, tt.locations)
		}
	}
	s.call("PUT", "/api/v1/apps/nobody/executors/a:1/state", `{"state":"cordoned"}`).want(http.StatusNotFound)
	if len(s.scheduler.made) != 0 {
		t.Errorf("the scheduler was told %q", s.scheduler.made)
	}
}
