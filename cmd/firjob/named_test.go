package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func listOf(items ...string) answer {
	return ok(`{"items":[` + strings.Join(items, ",") + `],"next_page_token":""}`)
}

// A job is found by app/name, or by a name that only one app has.
func TestJobsByName(t *testing.T) {
	t.Parallel()
	const mine, other = `{"id":42,"app":"billing","name":"nightly/eu"}`, `{"id":7,"app":"demo","name":"nightly/eu"}`
	tests := []struct {
		ref, query, want string
		found            answer
	}{
		{"billing/nightly/eu", "app=billing&name=nightly%2Feu&page_size=11", "", listOf(mine)},
		{"nightly", "name=nightly&page_size=11", "", listOf(mine)},
		{"nightly", "name=nightly&page_size=11", "several jobs are named \"nightly\"; say which:\n" +
			"  billing/nightly/eu  (number 42)\n  demo/nightly/eu  (number 7)\n", listOf(mine, other)},
		{"demo/none", "app=demo&name=none&page_size=11", "there is no job \"demo/none\"; see \"firjob job list\"\n", listOf()},
	}
	for _, tt := range tests {
		api := newFakeAPI(t, tt.found, ok(`{"fires":[]}`))
		got := api.ran(t, nil, "", "job", "next", tt.ref)
		want := []asked{{Method: "GET", URI: "/api/v1/jobs?" + tt.query}}
		if tt.want == "" {
			want = append(want, asked{Method: "GET", URI: "/api/v1/jobs/42/next?count=10"})
		}
		if diff := cmp.Diff(want, api.requests()); diff != "" {
			t.Errorf("%s: requests (-want +got):\n%s", tt.ref, diff)
		}
		if failed := got.code != exitOK; failed != (tt.want != "") || failed && got.stderr != "firjob: "+tt.want {
			t.Errorf("%s: exit code %d, stderr %q; want %q", tt.ref, got.code, got.stderr, tt.want)
		}
	}
}

// An execution is found by as much of its id as tells it apart.
func TestExecutionsByPrefix(t *testing.T) {
	t.Parallel()
	const mine = `{"id":"` + anExecution + `","app":"billing","job":"nightly","state":"failed"}`
	const other = `{"id":"` + manualExecution + `","app":"billing","job":"nightly","state":"planned"}`
	for _, tt := range []struct {
		found answer
		want  string
	}{
		{listOf(mine), ""},
		{listOf(mine, other), "several executions have an id that begins with \"019aaa00-00\"; give more of it:\n  " +
			anExecution + "  billing/nightly  failed\n  " + manualExecution + "  billing/nightly  planned\n"},
		{listOf(), "there is no execution whose id begins with \"019aaa00-00\"\n"},
	} {
		api := newFakeAPI(t, tt.found, ok(answerFile(t, "execution")))
		got := api.ran(t, nil, "", "execution", "get", "019aaa00-00")
		want := []asked{{Method: "GET", URI: "/api/v1/executions?id_prefix=019aaa00-00&page_size=11"}}
		if tt.want == "" {
			want = append(want, asked{Method: "GET", URI: "/api/v1/executions/" + anExecution})
		}
		if diff := cmp.Diff(want, api.requests()); diff != "" {
			t.Errorf("requests (-want +got):\n%s", diff)
		}
		if failed := got.code != exitOK; failed != (tt.want != "") || failed && got.stderr != "firjob: "+tt.want {
			t.Errorf("exit code %d, stderr %q; want %q", got.code, got.stderr, tt.want)
		}
	}
}

// A 401 names what the token came from, and never the token.
func TestRefusedTokens(t *testing.T) {
	t.Parallel()
	file := tempFile(t, aToken)
	for _, tt := range []struct {
		want string
		env  map[string]string
		args []string
	}{
		{"no token was sent", nil, nil},
		{"the token of FIRJOB_TOKEN was refused", map[string]string{"FIRJOB_TOKEN": aToken}, nil},
		{"the token of --token was refused", map[string]string{"FIRJOB_TOKEN": "other"}, []string{"--token", aToken}},
		{"the token of FIRJOB_TOKEN_FILE was refused", map[string]string{"FIRJOB_TOKEN_FILE": file}, nil},
		{"the token of --token-file was refused", nil, []string{"--token-file", file}},
	} {
		api := newFakeAPI(t, answer{http.StatusUnauthorized, `{"title":"Unauthorized"}`})
		got := api.ran(t, tt.env, "", append([]string{"app", "list"}, tt.args...)...)
		if got.code != exitFailure || !strings.Contains(got.stderr, "\n  "+tt.want+": give the server's admin token") {
			t.Errorf("exit code %d, stderr %q; want 1 and %q", got.code, got.stderr, tt.want)
		}
	}
}

// A handler that nobody can run is shown with the job; a server that does not tell
// of handlers is believed to have it.
func TestHandlerThatNobodyHas(t *testing.T) {
	t.Parallel()
	for executors, want := range map[string]string{
		`{"live":true}`:  "",
		`{"live":false}`: "no executor of the app is alive",
		`{"live":true,"handlers":["other"]},{"live":true,"handlers":["report"]}`: "",
		`{"live":true,"handlers":["other"]},{"live":false}`:                      "no live executor of the app has it",
	} {
		got := newFakeAPI(t, ok(answerFile(t, "job")), listOf(executors)).ran(t, nil, "", "job", "get", "42")
		if got.code != exitOK || strings.Contains(got.stdout, "Attention:") != (want != "") || !strings.Contains(got.stdout, want) {
			t.Errorf("with %s: exit code %d and\n%s\nwant %q", executors, got.code, got.stdout, want)
		}
	}
}
