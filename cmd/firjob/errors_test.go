package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestProblems(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		answer answer
		want   string
	}{
		{"faulty fields", answer{http.StatusUnprocessableEntity, `{"title":"Unprocessable Entity","status":422,"detail":"the request has faulty fields",
			"code":"invalid","request_id":"5f1c","errors":[{"location":"body.schedule.expr","message":"minute 61 is above 59","value":"61 * * * *"},
			{"location":"body","message":"want an object"}]}`},
			"firjob: Unprocessable Entity: the request has faulty fields\n  schedule.expr: minute 61 is above 59\n  body: want an object\n  request id: 5f1c\n"},
		{"not found", answer{http.StatusNotFound, `{"title":"Not Found","detail":"there is no job 42","code":"not_found","request_id":"5f1d"}`},
			"firjob: Not Found: there is no job 42\n  request id: 5f1d\n"},
		{"no token", answer{http.StatusUnauthorized, `{"title":"Unauthorized","detail":"want a token","code":"unauthorized"}`},
			"firjob: Unauthorized: want a token\n  no token was sent: give the server's admin token by FIRJOB_TOKEN, FIRJOB_TOKEN_FILE or --token-file\n"},
		{"text that moves the cursor", answer{http.StatusConflict, `{"title":"Conflict","detail":"a\u001b[2Jb\nc"}`},
			"firjob: Conflict: a [2Jb c\n"},
		{"text that turns the direction", answer{http.StatusConflict, `{"title":"Conflict","detail":"a\u202eb\u2066c\u200fd"}`},
			"firjob: Conflict: a b c d\n"},
		{"nested too deep", ok(strings.Repeat("[", 10001) + strings.Repeat("]", 10001)),
			"firjob: SERVER answered 200 OK with JSON that cannot be read: invalid character '[' exceeded max depth\n"},
		{"cut off", ok(`{"id": 4`), "firjob: SERVER answered 200 OK with JSON that cannot be read: unexpected end of JSON input\n"},
		{"a proxy", answer{http.StatusBadGateway, `<html>`}, "firjob: SERVER answered 502 Bad Gateway\n"},
		{"another server", ok(`<html>`), "firjob: SERVER answered 200 OK with something that is not JSON: is it a firjob server?\n"},
		{"another version of the API", ok(`{"id":"x"}`), "firjob: the member \"id\" of the server's answer is a JSON string, which this program does not expect there: " +
			"\"firjob version --server URL\" compares the versions\n"},
		{"another API", ok(`[]`), "firjob: the server's answer is a JSON array, which this program does not expect there: \"firjob version --server URL\" compares the versions\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			api := newFakeAPI(t, tt.answer)
			got := api.ran(t, nil, "", "job", "get", "42")
			want := outcome{code: exitFailure, stderr: strings.ReplaceAll(tt.want, "SERVER", api.URL)}
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(outcome{})); diff != "" {
				t.Errorf("outcome differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	api := newFakeAPI(t, ok(`{}`))
	api.Close()
	got := api.ran(t, nil, "", "job", "get", "42")
	want := "firjob: cannot reach " + api.URL + " (FIRJOB_SERVER_URL): is the server running? set --server or FIRJOB_SERVER_URL\n"
	if got.code != exitFailure || got.stderr != want {
		t.Errorf("exit code %d, stderr %q; want 1, %q", got.code, got.stderr, want)
	}
}

func TestUsageErrors(t *testing.T) {
	t.Parallel()
	const help = "Run \"firjob job create --help\" for help."
	tests := []struct {
		args string
		want []string // parts of what stderr says
	}{
		{"nope", []string{"unexpected argument nope", "Run \"firjob --help\" for help."}},
		{"job", []string{"expected one of", "\"create\"", "Run \"firjob job --help\" for help."}},
		{"job list --nope", []string{"unknown flag --nope"}},
		{"job list --enabled --paused", []string{"--enabled and --paused can't be used together"}},
		{"job list -o xml", []string{"--output must be one of"}},
		{"job get", []string{"<job>"}},
		{"job get EMPTY", []string{"<job>", "want the number of a job"}},
		{"job pause", []string{"which ones? give jobs, or flags that select them"}},
		{"job delete", []string{"which ones?"}},
		{"job delete 42 --app billing --yes", []string{"give jobs or flags that select, not both"}},
		{"job delete 42", []string{"this would delete 1 job, and there is no terminal to ask at: give --yes"}},
		{"job resume 42 43", []string{"this would resume 2 jobs"}},
		{"execution cancel", []string{"which ones?"}},
		{"execution retry --yes", []string{"which ones?"}},
		{"calendar delete holidays", []string{"this would delete 1 calendar"}},
		{"app edit billing", []string{"say what to change"}},
		{"job list --timezone Mars/Olympus", []string{`"Mars/Olympus" is not a known time zone`}},
		{"job create", []string{"missing: <name>, --app, --handler or --http-url, one of --cron, --every, --delay, --at, --manual, --parent", help}},
		{"job create n --app a --handler h --timezone UTC", []string{"missing: one of --cron"}},
		{"job create n --app a --handler h --every 5", []string{`"5" is not a duration such as "30s"`}},
		{"job create n --app a --handler h --every 5s --manual", []string{"--manual and --every can't be used together"}},
		{"job create n --app a --handler h --at someday", []string{`"someday" is not a time; want one such as`}},
		{"job create n --app a --handler h --manual --params {", []string{"--params is not JSON", help}},
		{"job create n -f -", []string{"--file is the whole job"}},
		{"job create -f -", []string{"- does not hold a JSON object"}},
		{"job edit 42", []string{"say what to change"}},
		{"job edit 42 -f - --priority 3", []string{"--file is the whole patch"}},
		{"job trigger 42 --in 5s --at 2027-01-01T00:00:00Z", []string{"can't be used together"}},
		{"execution get 42", []string{`"42" is not an execution id`}},
		{"execution list --since someday", []string{`"someday" is neither a time`, "nor how long ago"}},
		{"execution list --since -5m", []string{`"-5m" is negative: write how long ago without a minus, as in 5m`}},
		{"execution list --root 42", []string{"--root", `"42" is not an execution id`}},
		{"execution list --since=-90s", []string{`"-90s" is negative: write how long ago without a minus, as in 1m30s`}},
		{"dead-letter list --until -x", []string{`"-x" is neither a time`, "nor how long ago"}},
		{"execution list --since --until 5m", []string{"--since: expected time value but got"}},
		{"execution list --since", []string{"--since: expected time value but got"}},
		{"schedule preview", []string{"say when"}},
		{"schedule preview @daily --every 5s", []string{"not both"}},
		{"schedule preview 61_*_*_*_*", []string{"firjob schedule preview --help"}},
		{"schedule preview @daily --timezone Mars/Olympus", []string{`"Mars/Olympus" is not a known time zone`}},
		{"job list --token a --token-file b", []string{"--token and --token-file, or their variables, are both set; keep one"}},
		{"job list --limit=-1", []string{"--limit", "-1 is below 0"}},
		{"execution list --limit=-5", []string{"--limit", "-5 is below 0"}},
		{"schedule preview @daily -n 0", []string{"--count", "0 is not between 1 and 1000"}},
		{"schedule preview @daily -n 1001", []string{"1001 is not between 1 and 1000"}},
		{"app executors EMPTY", []string{"<name>", "want the name of an app"}},
		{"app create EMPTY", []string{"<name>", "want the name of an app"}},
		{"dev --replicas=-1", []string{"--replicas: must be 1 or more, not -1", "Run \"firjob dev --help\" for help."}},
		{"dev --replicas 0", []string{"--replicas: must be 1 or more, not 0"}},
		{"dev --workers=-1", []string{"--workers: must be 1 or more, not -1"}},
		{"dev --workers 0", []string{"--workers: must be 1 or more, not 0"}},
		{"worker", []string{"missing flags: --app"}},
		{"worker --app demo", []string{"Secret", "Run \"firjob worker --help\" for help."}},
		{"server", []string{"FIRJOB_DATABASE_URL is not set", "FIRJOB_REDIS_URL is not set", "Run \"firjob server --help\" for help."}},
		{"server --database-url postgres://h/d --redis-url redis://h --admin-token short", []string{"FIRJOB_ADMIN_TOKEN has 5 characters"}},
		{"migrate up", []string{"FIRJOB_DATABASE_URL is not set"}},
		{"migrate status", []string{"FIRJOB_DATABASE_URL is not set"}},
		{"job list --server 127.0.0.1:8080", []string{"--server (FIRJOB_SERVER_URL) is not an address such as"}},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			t.Parallel()
			args := strings.Fields(tt.args)
			for i, arg := range args {
				args[i] = strings.ReplaceAll(strings.ReplaceAll(arg, "_", " "), "EMPTY", "")
			}
			got := ran(t.Context(), nil, "", args...)
			if got.code != exitUsage || got.stdout != "" {
				t.Errorf("exit code %d, stdout %q; want 2 and nothing", got.code, got.stdout)
			}
			for _, part := range tt.want {
				if !strings.Contains(got.stderr, part) {
					t.Errorf("stderr is %q; want it to hold %q", got.stderr, part)
				}
			}
		})
	}
}

func TestMissingFilesAreFailures(t *testing.T) {
	t.Parallel()
	missing := t.TempDir() + "/none"
	for _, args := range [][]string{
		{"job", "create", "-f", missing},
		{"job", "trigger", "42", "--params", "@" + missing},
		{"app", "create", "billing", "--secret-file", missing},
		{"job", "list", "--token-file", missing},
	} {
		got := ran(t.Context(), nil, "", args...)
		if got.code != exitFailure || !strings.Contains(got.stderr, "no such file") {
			t.Errorf("%v: exit code %d, stderr %q; want 1 and the reason", args, got.code, got.stderr)
		}
	}
}
