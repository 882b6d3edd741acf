package calltemplate_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/calltemplate"
	"github.com/firjob/firjob/internal/validate"
)

var called = firjob.Trigger{
	ID: firjob.Fire(7, time.Date(2027, 3, 1, 8, 0, 0, 0, time.UTC)), JobID: 7, Job: `night "report"`, Attempt: 2, Token: 4711,
	ScheduledAt: time.Date(2027, 3, 1, 8, 0, 0, 5_000_000, time.UTC),
	Params:      json.RawMessage(`{"region":"eu/west","n":12345678901234567890,"nested":{"a":[1,"x"]},"none":null,"up":"..","line":"a\nb"}`),
}

func TestExpandCall(t *testing.T) {
	t.Parallel()
	id := called.ID.String()
	form := map[string]string{"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
	text := map[string]string{"Content-Type": "text/plain"}
	tests := map[string]struct {
		in    firjob.HTTPCall
		url   string
		body  string
		fault string
	}{
		"every name in JSON": {
			in:   firjob.HTTPCall{Body: `[${id}, ${idempotency_key}, ${job}, ${job_id}, ${scheduled_at}, ${attempt}, ${token}, ${params.nested}]`},
			body: `["` + id + `", "` + id + `", "night \"report\"", 7, "2027-03-01T08:00:00.005Z", 2, 4711, {"a":[1,"x"]}]`},
		"within a JSON string": {
			in:   firjob.HTTPCall{Body: `{"t": "job ${job} of ${params.region}", "p": "${params.nested}", "n": "${params.n}", "$": "${params.none}"}`},
			body: `{"t": "job night \"report\" of eu/west", "p": "{\"a\":[1,\"x\"]}", "n": "12345678901234567890", "$": "null"}`},
		"all params":        {in: firjob.HTTPCall{Body: `{"p": ${params}}`}, body: `{"p": ` + string(called.Params) + `}`},
		"dollars":           {in: firjob.HTTPCall{Headers: text, Body: `$5 $$${attempt} $${attempt} $`}, body: `$5 $2 ${attempt} $`},
		"an escape":         {in: firjob.HTTPCall{Body: `{"a": "\\${attempt} \"${attempt}\""}`}, body: `{"a": "\\2 \"2\""}`},
		"a form":            {in: firjob.HTTPCall{Headers: form, Body: `region=${params.region}&job=${job}`}, body: `region=eu%2Fwest&job=night%20%22report%22`},
		"other bodies":      {in: firjob.HTTPCall{Headers: text, Body: `${params.line}`}, body: "a\nb"},
		"a URL":             {in: firjob.HTTPCall{URL: "https://example.org/${params.region}?at=${scheduled_at}&job=${job}"}, url: "https://example.org/eu%2Fwest?at=2027-03-01T08%3A00%3A00.005Z&job=night%20%22report%22"},
		"an absent field":   {in: firjob.HTTPCall{Body: `{"a": ${params.absent}}`}, fault: `body: ${params.absent}: the params have no field "absent"`},
		"an unknown name":   {in: firjob.HTTPCall{URL: "https://example.org/${secret}"}, fault: "url: ${secret}: there is no such variable"},
		"no brace":          {in: firjob.HTTPCall{Body: `{"a": ${attempt`}, fault: "body: ${{attempt}: there is no such variable"},
		"a way up":          {in: firjob.HTTPCall{URL: "https://example.org/a/${params.up}/b"}, fault: "url: a variable makes"},
		"a way up in two":   {in: firjob.HTTPCall{URL: "https://example.org/a/.${params.dot}/b"}, fault: "url: "},
		"a second header":   {in: firjob.HTTPCall{Headers: map[string]string{"X-Line": "${params.line}"}}, fault: "header X-Line: ${params.line}: has a control character"},
		"after a backslash": {in: firjob.HTTPCall{Body: `{"a": "\${attempt}"}`}, fault: "body: ${attempt} follows a backslash"},
		"too much":          {in: firjob.HTTPCall{Headers: text, Body: strings.Repeat("${params}", 20_000)}, fault: "body: has more than 1048576 bytes"},
	}
	for name, tt := range tests {
		out, err := calltemplate.Expand(tt.in, calltemplate.Variables(called))
		switch {
		case tt.fault != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.fault)):
			t.Errorf("%s: got the error %v, want %q", name, err, tt.fault)
		case tt.fault == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case tt.fault == "" && (out.URL != tt.url || out.Body != tt.body):
			t.Errorf("%s: got %q and %q, want %q and %q", name, out.URL, out.Body, tt.url, tt.body)
		}
	}
}

// Whatever a value holds, it stays one value where it stands.
func TestExpandedValuesStayValues(t *testing.T) {
	t.Parallel()
	call := firjob.HTTPCall{
		URL:  "https://example.org/run/x${params.v}?v=${params.v}&w=1",
		Body: `{"before": 1, "text": "<${params.v}>", "value": ${params.v}, "after": 2}`,
	}
	rapid.Check(t, func(r *rapid.T) {
		value := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{`", "admin": true, "x": "`, `\`, `\"`, "\u2028", "&w=2", "#", "../..", "a/../b"})).Draw(r, "value")
		value = strings.ToValidUTF8(value, "?")
		params, err := json.Marshal(map[string]string{"v": value})
		if err != nil {
			r.Fatal(err)
		}
		trigger := firjob.Trigger{Params: params}
		out, err := calltemplate.Expand(call, calltemplate.Variables(trigger))
		if err != nil {
			if strings.HasPrefix(err.Error(), "url: ") && strings.Contains(value, ".") {
				return
			}
			r.Fatalf("%q: %v", value, err)
		}
		var got map[string]any
		if err := json.Unmarshal([]byte(out.Body), &got); err != nil {
			r.Fatalf("%q makes %s: %v", value, out.Body, err)
		}
		want := map[string]any{"before": 1.0, "text": "<" + value + ">", "value": value, "after": 2.0}
		if diff := cmp.Diff(want, got); diff != "" {
			r.Fatalf("the body (-want +got):\n%s", diff)
		}
		u, err := url.Parse(out.URL)
		if err != nil {
			r.Fatal(err)
		}
		if u.Host != "example.org" || u.Path != "/run/x"+value || u.Query().Get("v") != value || u.Query().Get("w") != "1" || u.Fragment != "" {
			r.Fatalf("%q makes the URL %s", value, out.URL)
		}
	})
}

func TestVariablesOfACallAreChecked(t *testing.T) {
	t.Parallel()
	job := firjob.NewJob()
	job.App, job.Name = "billing", "call"
	job.Schedule = firjob.Schedule{Kind: firjob.ScheduleManual}
	job.HTTP = &firjob.HTTPCall{
		Method: "POST", URL: "https://example.org/${when}", Timeout: firjob.Duration(time.Second),
		Headers: map[string]string{"X-Region": "${params.region}", "X-Secret": "${env.SECRET}", "idempotency-key": "mine"},
		Body:    `{"a": ${params.a}, }`,
	}
	var got []string
	for _, f := range validate.Job(job, called.ScheduledAt) {
		got = append(got, f.Field)
	}
	want := []string{"http.headers.idempotency-key", "http.url", "http.headers.X-Secret", "http.body"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("faulty fields (-want +got):\n%s", diff)
	}
}
