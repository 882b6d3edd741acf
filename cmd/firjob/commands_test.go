package main

import (
	"net/http"
	"strings"
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
		want: asked{Method: "GET", URI: "/api/v1/apps?page_size=100"}},
	{name: "app-list-none", args: []string{"app", "list"}, answer: "none",
		want: asked{Method: "GET", URI: "/api/v1/apps?page_size=100"}},
	{name: "app-executors", args: []string{"app", "executors", "billing"}, answer: "executors",
		want: asked{Method: "GET", URI: "/api/v1/apps/billing/executors"}},
	{name: "app-executors-none", args: []string{"app", "executors", "a/b c"}, answer: "none",
		want: asked{Method: "GET", URI: "/api/v1/apps/a%2Fb%20c/executors"}},

	{name: "job-create", status: http.StatusCreated, answer: "job",
		args: []string{"job", "create", "nightly-report", "--app", "billing", "--handler", "report", "--cron", "0 0 2 * * *",
			"--timezone", "Asia/Shanghai", "--params", `{"region": "<eu>"}`, "--overlap", "skip", "--timeout", "10m", "--max-attempts", "3"},
		want: asked{Method: "POST", URI: "/api/v1/jobs", Body: `{"app":"billing","handler":"report","name":"nightly-report","overlap":"skip",` +
			`"params":{"region":"<eu>"},"retry":{"max_attempts":3},"schedule":{"expr":"0 0 2 * * *","kind":"cron","timezone":"Asia/Shanghai"},"timeout":"10m"}`}},
	{name: "job-create-from-stdin", shows: "job-get", status: http.StatusCreated, answer: "job",
		args: []string{"job", "create", "-f", "-"}, stdin: `{"name": "n", "params": {"id": 12345678901234567890}}`,
		want: asked{Method: "POST", URI: "/api/v1/jobs", Body: `{"name":"n","params":{"id":12345678901234567890}}`}},
	{name: "job-create-policies", shows: "job-get", status: http.StatusCreated, answer: "job",
		args: []string{"job", "create", "n", "--app", "billing", "--handler", "h", "--cron", "0 0 18 LW * ?", "--dialect", "quartz", "--fire-jitter", "2m",
			"--calendar", "holidays", "--calendar", "night", "--max-running", "3", "--queue-limit", "9", "--start-deadline", "10m", "--max-catch-up", "5",
			"--route", "failover", "--route-order", "10.0.0.7:9999", "--selector", "zone=a,gpu=yes", "--exclusive", "--retry-on", "other", "--backoff-kind", "fixed"},
		want: asked{Method: "POST", URI: "/api/v1/jobs", Body: `{"app":"billing","exclusive":true,"handler":"h","max_running":3,"misfire":{"max_catch_up":5},"name":"n",` +
			`"queue_limit":9,"retry":{"kind":"fixed","on":"other"},"route":"failover","route_order":["10.0.0.7:9999"],` +
			`"schedule":{"calendars":["holidays","night"],"dialect":"quartz","expr":"0 0 18 LW * ?","jitter":"2m","kind":"cron"},` +
			`"selector":{"gpu":"yes","zone":"a"},"start_deadline":"10m"}`}},
	{name: "job-create-child", shows: "job-get-call", status: http.StatusCreated, answer: "call",
		args: []string{"job", "create", "n", "--app", "billing", "--http-url", "https://example.org/run", "--parent", "41", "--parent", "42:failure", "--join", "any"},
		want: asked{Method: "POST", URI: "/api/v1/jobs", Body: `{"app":"billing","http":{"url":"https://example.org/run"},"name":"n",` +
			`"parents":{"join":"any","of":[{"job":41,"on":"success"},{"job":42,"on":"failure"}]},"schedule":{"kind":"manual"}}`}},
	{name: "job-batch", args: []string{"job", "batch", "-f", "-", "--atomic", "--idempotency-key", "k1"}, stdin: `[{"name":"a"},{"name":"b"}]`, answer: "batch",
		want: asked{Method: "POST", URI: "/api/v1/jobs:batch", Body: `{"atomic":true,"jobs":[{"name":"a"},{"name":"b"}]}`, Key: "k1"}},
	{name: "job-list-of", shows: "job-list-none", args: []string{"job", "list", "--kind", "cron", "--route", "sticky", "--calendar", "holidays", "--parent", "41"}, answer: "none",
		want: asked{Method: "GET", URI: "/api/v1/jobs?calendar=holidays&kind=cron&last=true&page_size=100&parent=41&route=sticky"}},
	{name: "job-list", args: []string{"job", "list"}, answer: "jobs",
		want: asked{Method: "GET", URI: "/api/v1/jobs?last=true&page_size=100"}},
	{name: "job-list-none", args: []string{"job", "list", "--app", "billing", "--query", "a b", "--paused", "--limit", "7"}, answer: "none",
		want: asked{Method: "GET", URI: "/api/v1/jobs?app=billing&enabled=false&last=true&page_size=7&q=a+b"}},
	{name: "job-list-enabled", shows: "job-list", args: []string{"job", "list", "--enabled", "--limit", "0"}, answer: "jobs",
		want: asked{Method: "GET", URI: "/api/v1/jobs?enabled=true&last=true&page_size=500"}},
	{name: "job-get", shows: "job-get-attention", args: []string{"job", "get", "42"}, answer: "job",
		want: asked{Method: "GET", URI: "/api/v1/jobs/42?last=true"}},
	{name: "job-get-paused", args: []string{"job", "get", "42"}, answer: "paused",
		want: asked{Method: "GET", URI: "/api/v1/jobs/42?last=true"}},
	{name: "job-get-finer", args: []string{"job", "get", "42"}, answer: "finer",
		want: asked{Method: "GET", URI: "/api/v1/jobs/42?last=true"}},
	{name: "job-edit", answer: "job", args: []string{"job", "edit", "42", "--name", "new", "--timezone", "UTC", "--misfire", "skip", "--grace", "1m",
		"--route", "random", "--delivery", "at_most_once", "--priority=-3", "--backoff", "2s", "--factor", "1.5", "--max-backoff", "1m", "--jitter", "0", "--paused"},
		want: asked{Method: "PATCH", URI: "/api/v1/jobs/42", Body: `{"delivery":"at_most_once","enabled":false,"misfire":{"grace":"1m","policy":"skip"},` +
			`"name":"new","priority":-3,"retry":{"backoff":"2s","factor":1.5,"jitter":0,"max_backoff":"1m"},"route":"random","schedule":{"timezone":"UTC"}}`}},
	{name: "job-edit-every", shows: "job-get", answer: "job", args: []string{"job", "edit", "42", "--every", "90s", "--handler", "other"},
		want: asked{Method: "PATCH", URI: "/api/v1/jobs/42", Body: `{"handler":"other","schedule":{"interval":"1m30s","kind":"every"}}`}},
	{name: "job-edit-delay", shows: "job-get", answer: "job", args: []string{"job", "edit", "42", "--delay", "30s"},
		want: asked{Method: "PATCH", URI: "/api/v1/jobs/42", Body: `{"schedule":{"interval":"30s","kind":"delay"}}`}},
	{name: "job-edit-at", shows: "job-get", answer: "job", args: []string{"job", "edit", "42", "--at", "2027-01-01T08:00:00+08:00"},
		want: asked{Method: "PATCH", URI: "/api/v1/jobs/42", Body: `{"schedule":{"at":"2027-01-01T00:00:00.000Z","kind":"at"}}`}},
	{name: "job-create-at-in-a-zone", shows: "job-create", status: http.StatusCreated, answer: "job",
		args: []string{"job", "create", "n", "--app", "billing", "--handler", "h", "--at", "2027-01-01 09:00", "--timezone", "Asia/Shanghai"},
		want: asked{Method: "POST", URI: "/api/v1/jobs", Body: `{"app":"billing","handler":"h","name":"n","schedule":{"at":"2027-01-01T01:00:00.000Z","kind":"at"}}`}},
	{name: "job-edit-manual", answer: "paused", args: []string{"job", "edit", "42", "--manual"},
		want: asked{Method: "PATCH", URI: "/api/v1/jobs/42", Body: `{"schedule":{"kind":"manual"}}`}},
	{name: "job-edit-from-stdin", shows: "job-get", answer: "job", args: []string{"job", "edit", "42", "-f", "-"}, stdin: `{"timeout": null}`,
		want: asked{Method: "PATCH", URI: "/api/v1/jobs/42", Body: `{"timeout":null}`}},
	{name: "job-pause", args: []string{"job", "pause", "42", "--reason", "upstream is down"}, answer: "paused",
		want: asked{Method: "POST", URI: "/api/v1/jobs/42/pause", Body: `{"reason":"upstream is down"}`}},
	{name: "job-resume", args: []string{"job", "resume", "42"}, answer: "job",
		want: asked{Method: "POST", URI: "/api/v1/jobs/42/resume", Body: `{}`}},
	{name: "job-delete", args: []string{"job", "delete", "42", "--yes"}, status: http.StatusNoContent,
		want: asked{Method: "DELETE", URI: "/api/v1/jobs/42"}},
	{name: "job-trigger", args: []string{"job", "trigger", "42", "--params", "7", "--in", "10m", "--idempotency-key", "k1"},
		status: http.StatusCreated, answer: "planned",
		want: asked{Method: "POST", URI: "/api/v1/jobs/42/trigger", Body: `{"delay":"10m","params":7}`, Key: "k1"}},
	{name: "job-trigger-at", shows: "job-trigger", args: []string{"job", "trigger", "42", "--at", "2026-11-22T06:10:00Z"},
		status: http.StatusCreated, answer: "planned",
		want: asked{Method: "POST", URI: "/api/v1/jobs/42/trigger", Body: `{"at":"2026-11-22T06:10:00.000Z"}`}},
	{name: "job-trigger-stdin", shows: "job-trigger", args: []string{"job", "trigger", "42", "--params", "@-"}, stdin: `[1, 2]`,
		status: http.StatusCreated, answer: "planned",
		want: asked{Method: "POST", URI: "/api/v1/jobs/42/trigger", Body: `{"params":[1,2]}`}},
	{name: "job-next", args: []string{"job", "next", "42", "-n", "2"}, answer: "next",
		want: asked{Method: "GET", URI: "/api/v1/jobs/42/next?count=2"}},

	{name: "calendar-create", shows: "calendar-get", status: http.StatusCreated, answer: "calendar",
		args: []string{"calendar", "create", "holidays", "--date", "2027-10-01..2027-10-07", "--date", "yearly:2027-01-01", "--weekday", "sat,sun", "--hours", "22:00-06:00"},
		want: asked{Method: "POST", URI: "/api/v1/calendars", Body: `{"dates":[{"from":"2027-10-01","until":"2027-10-07"},{"from":"2027-01-01","yearly":true}],` +
			`"hours":[{"from":"22:00","until":"06:00"}],"name":"holidays","weekdays":["sat","sun"]}`}},
	{name: "calendar-list", args: []string{"calendar", "list", "--query", "holi"}, answer: "calendars",
		want: asked{Method: "GET", URI: "/api/v1/calendars?page_size=100&q=holi"}},
	{name: "calendar-get", args: []string{"calendar", "get", "holidays"}, answer: "calendar",
		want: asked{Method: "GET", URI: "/api/v1/calendars/holidays"}},
	{name: "calendar-edit", shows: "calendar-get", args: []string{"calendar", "edit", "holidays", "--mode", "include"}, answer: "calendar",
		want: asked{Method: "PATCH", URI: "/api/v1/calendars/holidays", Body: `{"mode":"include"}`}},
	{name: "app-delete", args: []string{"app", "delete", "billing", "--yes"}, status: http.StatusNoContent,
		want: asked{Method: "DELETE", URI: "/api/v1/apps/billing"}},
	{name: "calendar-delete", args: []string{"calendar", "delete", "holidays", "--yes"}, status: http.StatusNoContent,
		want: asked{Method: "DELETE", URI: "/api/v1/calendars/holidays"}},

	{name: "execution-list", answer: "executions", args: []string{"execution", "list", "--job", "42", "--app", "billing",
		"--state", "succeeded,missed", "--since", "72h", "--until", "2026-11-22T06:00:00Z"},
		want: asked{Method: "GET", URI: "/api/v1/executions?app=billing&job=42&page_size=100&since=2026-11-19T06%3A00%3A00.000Z" +
			"&state=succeeded%2Cmissed&until=2026-11-22T06%3A00%3A00.000Z"}},
	{name: "execution-list-of", shows: "execution-list", answer: "executions", args: []string{"execution", "list", "--kind", "manual,child",
		"--executor", "10.0.0.7:9999", "--root", anExecution},
		want: asked{Method: "GET", URI: "/api/v1/executions?executor=10.0.0.7%3A9999&kind=manual%2Cchild&page_size=100&root=" + anExecution}},
	{name: "execution-get", args: []string{"execution", "get", anExecution}, answer: "execution",
		want: asked{Method: "GET", URI: "/api/v1/executions/" + anExecution}},
	{name: "execution-get-missed", args: []string{"execution", "get", anExecution}, answer: "missed",
		want: asked{Method: "GET", URI: "/api/v1/executions/" + anExecution}},
	{name: "execution-get-no-turn", args: []string{"execution", "get", anExecution}, answer: "noturn",
		want: asked{Method: "GET", URI: "/api/v1/executions/" + anExecution}},
	{name: "execution-cancel", args: []string{"execution", "cancel", manualExecution}, answer: "cancelled",
		want: asked{Method: "POST", URI: "/api/v1/executions/" + manualExecution + "/cancel"}},
	{name: "job-explain", args: []string{"job", "explain", "42", "--at", "2026-11-22T13:58:00+08:00"}, answer: "explanation",
		want: asked{Method: "GET", URI: "/api/v1/jobs/42/explain?at=2026-11-22T13%3A58%3A00%2B08%3A00"}},
	{name: "job-explain-no-fire", args: []string{"job", "explain", "42", "--at", "2026-11-22T05:58:00.5Z"}, answer: "nofire",
		want: asked{Method: "GET", URI: "/api/v1/jobs/42/explain?at=2026-11-22T05%3A58%3A00.5Z"}},
	{name: "execution-explain", shows: "job-explain", args: []string{"execution", "explain", anExecution}, answer: "explanation",
		want: asked{Method: "GET", URI: "/api/v1/executions/" + anExecution + "/explain"}},
	{name: "job-backfill-start", args: []string{"job", "backfill", "start", "42", "--from", "24h", "--until", "2026-11-22T00:00:00Z", "--newest",
		"--max-running", "4", "--params", "7"}, status: http.StatusCreated, answer: "backfill",
		want: asked{Method: "POST", URI: "/api/v1/jobs/42/backfill", Body: `{"from":"2026-11-21T06:00:00.000Z","max_running":4,"order":"newest_first",` +
			`"params":7,"until":"2026-11-22T00:00:00.000Z"}`}},
	{name: "job-backfill-dry", args: []string{"job", "backfill", "start", "42", "--from", "24h", "--until", "6h", "--dry-run"}, status: http.StatusCreated, answer: "backfill",
		want: asked{Method: "POST", URI: "/api/v1/jobs/42/backfill?dry_run=true", Body: `{"from":"2026-11-21T06:00:00.000Z","until":"2026-11-22T00:00:00.000Z"}`}},
	{name: "job-backfill-list", args: []string{"job", "backfill", "list", "42"}, answer: "backfills",
		want: asked{Method: "GET", URI: "/api/v1/jobs/42/backfills?page_size=100"}},
	{name: "job-backfill-get", shows: "job-backfill-start", args: []string{"job", "backfill", "get", "7"}, answer: "backfill",
		want: asked{Method: "GET", URI: "/api/v1/backfills/7"}},
	{name: "job-backfill-cancel", shows: "job-backfill-start", args: []string{"job", "backfill", "cancel", "7"}, answer: "backfill",
		want: asked{Method: "POST", URI: "/api/v1/backfills/7/cancel"}},
	{name: "dead-letter-list", args: []string{"dead-letter", "list", "--app", "billing", "--job", "42", "--state", "failed,lost", "--since", "24h", "--handled"}, answer: "deadletters",
		want: asked{Method: "GET", URI: "/api/v1/dead-letters?app=billing&handled=true&job=42&page_size=100&since=2026-11-21T06%3A00%3A00.000Z&state=failed%2Clost"}},
	{name: "dead-letter-redrive", args: []string{"dead-letter", "redrive", anExecution}, answer: "redriven",
		want: asked{Method: "POST", URI: "/api/v1/dead-letters:redrive", Body: `{"ids":["` + anExecution + `"]}`}},
	{name: "dead-letter-redrive-dry", args: []string{"dead-letter", "redrive", "--all", "--limit", "5", "--dry-run"}, answer: "redriven",
		want: asked{Method: "POST", URI: "/api/v1/dead-letters:redrive?dry_run=true", Body: `{"filter":{},"limit":5}`}},
	{name: "dead-letter-dismiss", args: []string{"dead-letter", "dismiss", "--job", "42", "--state", "lost"}, answer: "dismissed",
		want: asked{Method: "POST", URI: "/api/v1/dead-letters:dismiss", Body: `{"filter":{"job":42,"state":["lost"]}}`}},
	{name: "execution-list-coming", shows: "execution-list", args: []string{"execution", "list", "--coming"}, answer: "executions",
		want: asked{Method: "GET", URI: "/api/v1/executions?page_size=100"}},
	{name: "execution-list-past", shows: "execution-list", args: []string{"execution", "list"}, answer: "executions",
		want: asked{Method: "GET", URI: "/api/v1/executions?page_size=100&until=2026-11-22T06%3A00%3A00.000Z"}},
	{name: "execution-list-shanghai", args: []string{"execution", "list", "--timezone", "Asia/Shanghai", "--since", "yesterday 09:00"}, answer: "executions",
		want: asked{Method: "GET", URI: "/api/v1/executions?page_size=100&since=2026-11-21T01%3A00%3A00.000Z&until=2026-11-22T06%3A00%3A00.000Z"}},
	{name: "execution-list-states", args: []string{"execution", "list", "--coming"}, answer: "executions-states",
		want: asked{Method: "GET", URI: "/api/v1/executions?page_size=100"}},
	{name: "execution-tree", args: []string{"execution", "tree", anExecution}, answer: "tree",
		want: asked{Method: "GET", URI: "/api/v1/executions/" + anExecution + "/tree"}},
	{name: "app-get", args: []string{"app", "get", "billing"}, answer: "limits", want: asked{Method: "GET", URI: "/api/v1/apps/billing"}},
	{name: "app-edit", shows: "app-get", args: []string{"app", "edit", "billing", "--max-running", "10", "--max-per-second", "2.5"}, answer: "limits",
		want: asked{Method: "PATCH", URI: "/api/v1/apps/billing", Body: `{"max_per_second":2.5,"max_running":10}`}},
	{name: "app-queue", args: []string{"app", "queue", "billing", "--why", "overlap"}, answer: "queue",
		want: asked{Method: "GET", URI: "/api/v1/apps/billing/queue?page_size=50&why=overlap"}},
	{name: "executor-drain", args: []string{"executor", "drain", "billing", "10.0.0.7:9999", "--reason", "disk"}, answer: "mark",
		want: asked{Method: "PUT", URI: "/api/v1/apps/billing/executors/10.0.0.7:9999/state", Body: `{"reason":"disk","state":"draining"}`}},
	{name: "executor-cordon", args: []string{"executor", "cordon", "billing", "10.0.0.7:9999"}, answer: "mark",
		want: asked{Method: "PUT", URI: "/api/v1/apps/billing/executors/10.0.0.7:9999/state", Body: `{"state":"cordoned"}`}},
	{name: "executor-uncordon", args: []string{"executor", "uncordon", "billing", "10.0.0.7:9999"}, answer: "mark",
		want: asked{Method: "PUT", URI: "/api/v1/apps/billing/executors/10.0.0.7:9999/state", Body: `{"state":"active"}`}},
	{name: "stats", args: []string{"stats", "--since", "2h"}, answer: "stats",
		want: asked{Method: "GET", URI: "/api/v1/stats?since=2026-11-22T04%3A00%3A00.000Z"}},
	{name: "job-trigger-tomorrow", shows: "job-trigger", args: []string{"job", "trigger", "42", "--at", "tomorrow 09:00 Asia/Shanghai"},
		status: http.StatusCreated, answer: "planned",
		want: asked{Method: "POST", URI: "/api/v1/jobs/42/trigger", Body: `{"at":"2026-11-23T01:00:00.000Z"}`}},
	{name: "execution-retry", shows: "job-trigger", args: []string{"execution", "retry", anExecution}, status: http.StatusCreated, answer: "planned",
		want: asked{Method: "POST", URI: "/api/v1/executions/" + anExecution + "/retry"}},
}

// wanted returns the requests of a command: a change is made to the version that
// is read before it.
func wanted(last asked) []asked {
	if strings.HasSuffix(last.URI, "/jobs/42?last=true") { // and what its handler can run on
		return []asked{last, {Method: "GET", URI: "/api/v1/apps/billing/executors"}}
	}
	if last.Method != http.MethodPatch && last.Method != http.MethodDelete {
		return []asked{last}
	}
	last.Match = `"3"`
	return []asked{{Method: http.MethodGet, URI: last.URI}, last}
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
			if diff := cmp.Diff(wanted(tt.want), api.requests()); diff != "" {
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
				uris = append(uris, asked{Method: "GET", URI: "/api/v1/jobs?last=true&" + uri})
			}
			if diff := cmp.Diff(uris, api.requests()); diff != "" {
				t.Errorf("requests differ (-want +got):\n%s", diff)
			}
		})
	}
}

// Jobs of a batch that are faulty are shown, and the command fails.
func TestBatchWithFaults(t *testing.T) {
	t.Parallel()
	api := newFakeAPI(t, ok(answerFile(t, "batch-faults")))
	got := api.ran(t, nil, `{"jobs":[{},{}]}`, "job", "batch", "-f", "-")
	if got.code != exitFailure || got.stderr != "firjob: 1 of 2 jobs was not stored\n" {
		t.Errorf("exit code %d, stderr %q; want 1 and the number", got.code, got.stderr)
	}
	golden(t, "job-batch-faults", got.stdout)
}

// What somebody else has changed meanwhile stays as it is.
func TestChangeOfAnotherVersion(t *testing.T) {
	t.Parallel()
	api := newFakeAPI(t, ok(answerFile(t, "job")), answer{http.StatusPreconditionFailed,
		`{"title":"Precondition Failed","detail":"it is at version 4 now, which If-Match does not name: read it again","code":"precondition_failed"}`})
	got := api.ran(t, nil, "", "job", "edit", "42", "--timeout", "5s")
	want := "firjob: Precondition Failed: it is at version 4 now, which If-Match does not name: read it again\n"
	if got.code != exitFailure || got.stderr != want {
		t.Errorf("exit code %d, stderr %q; want 1, %q", got.code, got.stderr, want)
	}
}

func TestListSaysThatThereAreMore(t *testing.T) {
	t.Parallel()
	api := newFakeAPI(t, ok(`{"items":[{"name":"billing","created_at":"2026-11-22T06:00:00Z"}],"next_page_token":"p2"}`))
	golden(t, "list-more", api.ran(t, nil, "", "job", "list", "--limit", "1").stdout)
}
