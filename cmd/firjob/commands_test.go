package main

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	anExecution     = "019aaa00-0000-8000-8000-00000000002a"
	manualExecution = "019aaa00-0000-8000-8100-00010000002a"
)

// commandTests say for each command what it asks the API and, by the golden
// file of its name, what people see.
var commandTests = []struct {
	name   string
	args   []string
	stdin  string
	want   asked
	status int    // 200 if 0
	answer string // a file; none if ""
	shows  string // a golden file; name if ""
}{
	{name: "app-create", args: []string{"app", "create", "billing"}, status: http.StatusCreated, answer: "app",
		want: asked{Method: "POST", URI: "/api/v1/apps", Body: `{"name":"billing"}`}},
	{name: "app-list", args: []string{"app", "list"}, answer: "apps",
		want: asked{Method: "GET", URI: "/api/v1/apps"}},
	{name: "app-list-none", args: []string{"app", "list"}, answer: "none",
		want: asked{Method: "GET", URI: "/api/v1/apps"}},
	{name: "app-executors", args: []string{"app", "executors", "billing"}, answer: "executors",
		want: asked{Method: "GET", URI: "/api/v1/apps/billing/executors"}},
	{name: "app-executors-none", args: []string{"app", "executors", "a/b c"}, answer: "none",
		want: asked{Method: "GET", URI: "/api/v1/apps/a%2Fb%20c/executors"}},

	{name: "job-create", shows: "job-get", status: http.StatusCreated, answer: "job",
		args: []string{"job", "create", "nightly-report", "--app", "billing", "--handler", "report", "--cron", "0 0 2 * * *",
			"--timezone", "Asia/Shanghai", "--params", `{"region": "<eu>"}`, "--overlap", "skip", "--timeout", "10m", "--max-attempts", "3"},
		want: asked{Method: "POST", URI: "/api/v1/jobs", Body: `{"app":"billing","handler":"report","name":"nightly-report","overlap":"skip",` +
			`"params":{"region":"<eu>"},"retry":{"max_attempts":3},"schedule":{"expr":"0 0 2 * * *","kind":"cron","timezone":"Asia/Shanghai"},"timeout":"10m"}`}},
	{name: "job-create-from-stdin", shows: "job-get", status: http.StatusCreated, answer: "job",
		args: []string{"job", "create", "-f", "-"}, stdin: `{"name": "n", "params": {"id": 12345678901234567890}}`,
		want: asked{Method: "POST", URI: "/api/v1/jobs", Body: `{"name":"n","params":{"id":12345678901234567890}}`}},
	{name: "job-list", args: []string{"job", "list"}, answer: "jobs",
		want: asked{Method: "GET", URI: "/api/v1/jobs?page_size=100"}},
	{name: "job-list-none", args: []string{"job", "list", "--app", "billing", "--query", "a b", "--paused", "--limit", "7"}, answer: "none",
		want: asked{Method: "GET", URI: "/api/v1/jobs?app=billing&enabled=false&page_size=7&q=a+b"}},
	{name: "job-list-enabled", shows: "job-list", args: []string{"job", "list", "--enabled", "--limit", "0"}, answer: "jobs",
		want: asked{Method: "GET", URI: "/api/v1/jobs?enabled=true&page_size=500"}},
	{name: "job-get", args: []string{"job", "get", "42"}, answer: "job",
		want: asked{Method: "GET", URI: "/api/v1/jobs/42"}},
	{name: "job-get-paused", args: []string{"job", "get", "42"}, answer: "paused",
		want: asked{Method: "GET", URI: "/api/v1/jobs/42"}},
	{name: "job-edit", shows: "job-get", answer: "job", args: []string{"job", "edit", "42", "--name", "new", "--timezone", "UTC", "--misfire", "skip", "--grace", "1m",
		"--route", "random", "--delivery", "at_most_once", "--priority=-3", "--backoff", "2s", "--factor", "1.5", "--max-backoff", "1m", "--jitter", "0", "--paused"},
		want: asked{Method: "PATCH", URI: "/api/v1/jobs/42", Body: `{"delivery":"at_most_once","enabled":false,"misfire":{"grace":"1m","policy":"skip"},` +
			`"name":"new","priority":-3,"retry":{"backoff":"2s","factor":1.5,"jitter":0,"max_backoff":"1m"},"route":"random","schedule":{"timezone":"UTC"}}`}},
	{name: "job-edit-every", shows: "job-get", answer: "job", args: []string{"job", "edit", "42", "--every", "90s", "--handler", "other"},
		want: asked{Method: "PATCH", URI: "/api/v1/jobs/42", Body: `{"handler":"other","schedule":{"interval":"1m30s","kind":"every"}}`}},
	{name: "job-edit-delay", shows: "job-get", answer: "job", args: []string{"job", "edit", "42", "--delay", "30s"},
		want: asked{Method: "PATCH", URI: "/api/v1/jobs/42", Body: `{"schedule":{"interval":"30s","kind":"delay"}}`}},
	{name: "job-edit-at", shows: "job-get", answer: "job", args: []string{"job", "edit", "42", "--at", "2027-01-01T08:00:00+08:00"},
		want: asked{Method: "PATCH", URI: "/api/v1/jobs/42", Body: `{"schedule":{"at":"2027-01-01T00:00:00.000Z","kind":"at"}}`}},
	{name: "job-edit-manual", shows: "job-get-paused", answer: "paused", args: []string{"job", "edit", "42", "--manual"},
		want: asked{Method: "PATCH", URI: "/api/v1/jobs/42", Body: `{"schedule":{"kind":"manual"}}`}},
	{name: "job-edit-from-stdin", shows: "job-get", answer: "job", args: []string{"job", "edit", "42", "-f", "-"}, stdin: `{"timeout": null}`,
		want: asked{Method: "PATCH", URI: "/api/v1/jobs/42", Body: `{"timeout":null}`}},
	{name: "job-pause", args: []string{"job", "pause", "42", "--reason", "upstream is down"}, answer: "paused",
		want: asked{Method: "POST", URI: "/api/v1/jobs/42/pause", Body: `{"reason":"upstream is down"}`}},
	{name: "job-resume", args: []string{"job", "resume", "42"}, answer: "job",
		want: asked{Method: "POST", URI: "/api/v1/jobs/42/resume", Body: `{}`}},
	{name: "job-delete", args: []string{"job", "delete", "42"}, status: http.StatusNoContent,
		want: asked{Method: "DELETE", URI: "/api/v1/jobs/42"}},
	{name: "job-trigger", args: []string{"job", "trigger", "42", "--params", "7", "--in", "10m", "--idempotency-key", "k1"},
		status: http.StatusCreated, answer: "planned",
		want: asked{Method: "POST", URI: "/api/v1/jobs/42/trigger", Body: `{"at":"2026-11-22T06:10:00.000Z","params":7}`, Key: "k1"}},
	{name: "job-trigger-at", shows: "job-trigger", args: []string{"job", "trigger", "42", "--at", "2026-11-22T06:10:00Z"},
		status: http.StatusCreated, answer: "planned",
		want: asked{Method: "POST", URI: "/api/v1/jobs/42/trigger", Body: `{"at":"2026-11-22T06:10:00.000Z"}`}},
	{name: "job-trigger-stdin", shows: "job-trigger", args: []string{"job", "trigger", "42", "--params", "@-"}, stdin: `[1, 2]`,
		status: http.StatusCreated, answer: "planned",
		want: asked{Method: "POST", URI: "/api/v1/jobs/42/trigger", Body: `{"params":[1,2]}`}},
	{name: "job-next", args: []string{"job", "next", "42", "-n", "2"}, answer: "next",
		want: asked{Method: "GET", URI: "/api/v1/jobs/42/next?count=2"}},

	{name: "execution-list", answer: "executions", args: []string{"execution", "list", "--job", "42", "--app", "billing",
		"--state", "succeeded,missed", "--since", "72h", "--until", "2026-11-22T06:00:00Z"},
		want: asked{Method: "GET", URI: "/api/v1/executions?app=billing&job=42&page_size=100&since=2026-11-19T06%3A00%3A00.000Z" +
			"&state=succeeded%2Cmissed&until=2026-11-22T06%3A00%3A00.000Z"}},
	{name: "execution-get", args: []string{"execution", "get", anExecution}, answer: "execution",
		want: asked{Method: "GET", URI: "/api/v1/executions/" + anExecution}},
	{name: "execution-get-missed", args: []string{"execution", "get", anExecution}, answer: "missed",
		want: asked{Method: "GET", URI: "/api/v1/executions/" + anExecution}},
	{name: "execution-get-no-turn", args: []string{"execution", "get", anExecution}, answer: "noturn",
		want: asked{Method: "GET", URI: "/api/v1/executions/" + anExecution}},
	{name: "execution-cancel", args: []string{"execution", "cancel", manualExecution}, answer: "cancelled",
		want: asked{Method: "POST", URI: "/api/v1/executions/" + manualExecution + "/cancel"}},
	{name: "execution-retry", shows: "job-trigger", args: []string{"execution", "retry", anExecution}, status: http.StatusCreated, answer: "planned",
		want: asked{Method: "POST", URI: "/api/v1/executions/" + anExecution + "/retry"}},
}

func TestCommands(t *testing.T) {
	t.Parallel()
	for _, tt := range commandTests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			given := answer{status: tt.status}
			if given.status == 0 {
				given.status = http.StatusOK
			}
			if tt.answer != "" {
				given.body = answerFile(t, tt.answer)
			}
			api := newFakeAPI(t, given)

			got := api.ran(t, nil, tt.stdin, tt.args...)
			if got.code != exitOK || got.stderr != "" {
				t.Fatalf("exit code %d, stderr %q; want 0 and nothing", got.code, got.stderr)
			}
			if diff := cmp.Diff([]asked{tt.want}, api.requests()); diff != "" {
				t.Errorf("requests differ (-want +got):\n%s", diff)
			}
			shows := tt.shows
			if shows == "" {
				shows = tt.name
			}
			golden(t, shows, got.stdout)
		})
	}
}

// With -o json a command prints what the API answered, and nothing else.
func TestJSONOutput(t *testing.T) {
	t.Parallel()
	for _, tt := range commandTests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			given, want := answer{status: http.StatusNoContent}, ""
			if tt.answer != "" {
				given = ok(answerFile(t, tt.answer))
				want = indented(t, given.body)
			}
			got := newFakeAPI(t, given).ran(t, nil, tt.stdin, append(tt.args, "-o", "json")...)
			if diff := cmp.Diff(outcome{stdout: want}, got, cmp.AllowUnexported(outcome{})); diff != "" {
				t.Errorf("outcome differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestListsFollowPages(t *testing.T) {
	t.Parallel()
	page := func(items, next string) answer {
		return ok(`{"items":[` + items + `],"next_page_token":"` + next + `"}`)
	}
	app := func(name string) string { return `{"id":1,"name":"` + name + `"}` }
	tests := []struct {
		name, limit string
		uris        []string
		want        string
	}{
		{"all", "0", []string{"page_size=500", "page_size=500&page_token=p2", "page_size=500&page_token=p3"},
			`{"items":[` + app("a") + `,` + app("b") + `,` + app("c") + `,` + app("d") + `],"next_page_token":""}`},
		{"up to the limit", "3", []string{"page_size=3", "page_size=1&page_token=p2"},
			`{"items":[` + app("a") + `,` + app("b") + `,` + app("c") + `],"next_page_token":"p3"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			api := newFakeAPI(t, page(app("a")+","+app("b"), "p2"), page(app("c"), "p3"), page(app("d"), ""))
			got := api.ran(t, nil, "", "job", "list", "--limit", tt.limit, "-o", "json")
			if got.code != exitOK || got.stdout != indented(t, tt.want) {
				t.Errorf("exit code %d, stdout %s; want 0 and %s", got.code, got.stdout, indented(t, tt.want))
			}
			var uris []asked
			for _, uri := range tt.uris {
				uris = append(uris, asked{Method: "GET", URI: "/api/v1/jobs?" + uri})
			}
			if diff := cmp.Diff(uris, api.requests()); diff != "" {
				t.Errorf("requests differ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestListSaysThatThereAreMore(t *testing.T) {
	t.Parallel()
	api := newFakeAPI(t, ok(`{"items":[{"name":"billing","created_at":"2026-11-22T06:00:00Z"}],"next_page_token":"p2"}`))
	golden(t, "list-more", api.ran(t, nil, "", "job", "list", "--limit", "1").stdout)
}
