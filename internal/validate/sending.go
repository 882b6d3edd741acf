package validate

import (
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/calltemplate"
	"github.com/firjob/firjob/internal/naming"
)

// target judges what runs: a handler of the app's executors, or an HTTP call.
func (f *faults) target(j firjob.Job) {
	if j.HTTP == nil {
		f.name("handler", j.Handler)
		return
	}
	if j.Handler != "" {
		f.add("handler", j.Handler, "contradicts \"http\": a job has one of the two")
	}
	f.call(*j.HTTP)
}

// methods are those of which a repeat is the caller's own affair.
var methods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
	http.MethodDelete}

func (f *faults) call(c firjob.HTTPCall) {
	known := len(*f)
	oneOf(f, "http.method", c.Method, methods...)
	f.callURL(c.URL)
	if len(c.Headers) > firjob.MaxHeaders {
		f.add("http.headers", nil, "has %d entries; want at most %d", len(c.Headers), firjob.MaxHeaders)
	}
	seen := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		f.callHeader(name, c.Headers[name])
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		if seen[canonical] {
			f.add("http.headers."+name, nil, "stands there twice: case does not tell headers apart")
		}
		seen[canonical] = true
	}
	f.span("http.timeout", c.Timeout, time.Millisecond, firjob.MaxCallTimeout)
	switch {
	case len(c.Body) > firjob.MaxCallBody:
		f.add("http.body", nil, "has %d bytes; want at most %d", len(c.Body), firjob.MaxCallBody)
	case c.Body != "" && (c.Method == http.MethodGet || c.Method == http.MethodHead):
		f.add("http.body", nil, "does not belong to a %s", c.Method)
	}
	f.callExpects(c.Expect)
	for _, fault := range calltemplate.Check(c) { // once for each field
		if !slices.ContainsFunc((*f)[known:], func(e firjob.FieldError) bool { return e.Field == fault.Field }) {
			*f = append(*f, fault)
		}
	}
}

func (f *faults) callExpects(statuses []int) {
	if len(statuses) > firjob.MaxExpect {
		f.add("http.expect", nil, "has %d entries; want at most %d", len(statuses), firjob.MaxExpect)
		return
	}
	for i, status := range statuses {
		f.count(fmt.Sprintf("http.expect[%d]", i), status, 200, 599)
	}
}

// callURL finds fault with a URL that is not absolute. Its host may not be a
// variable: which hosts a job reaches is to be read from its definition.
func (f *faults) callURL(text string) {
	u, err := url.Parse(text)
	switch {
	case text == "":
		f.add("http.url", nil, "is missing")
	case len(text) > firjob.MaxURL:
		f.add("http.url", nil, "has %d bytes; want at most %d", len(text), firjob.MaxURL)
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		f.add("http.url", nil, "must be an absolute http or https URL")
	case !portInRange(u.Port()):
		f.add("http.url", nil, "has port %s; want 1 to 65535", u.Port())
	case u.User != nil:
		f.add("http.url", nil, "holds credentials; they belong to a header")
	case strings.Contains(u.Host, "$"):
		f.add("http.url", nil, "must name its host: a variable may stand in the path and the query only")
	}
}

// portInRange reports whether a URL's port, which may be absent, is one of TCP's.
func portInRange(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return port == "" || err == nil && n > 0
}

var headerName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

// ours are headers that the server sets itself.
var ours = []string{"Host", "Content-Length", "Transfer-Encoding", "Connection", "Trailer", "Upgrade", "Te",

	firjob.HeaderWebhookID, firjob.HeaderWebhookTimestamp, firjob.HeaderWebhookSignature,
	firjob.HeaderExecution, firjob.HeaderToken, firjob.HeaderAttempt, firjob.HeaderIdempotencyKey}

func (f *faults) callHeader(name, value string) {
	field := "http.headers." + name
	switch {
	case !headerName.MatchString(name) || len(name) > firjob.MaxName:
		f.add("http.headers", name, "is not the name of a header")
	case slices.Contains(ours, textproto.CanonicalMIMEHeaderKey(name)):
		f.add(field, nil, "is set by the server")
	case len(value) > firjob.MaxHeaderValue:
		f.add(field, nil, "has %d bytes; want at most %d", len(value), firjob.MaxHeaderValue)
	case strings.ContainsFunc(value, calltemplate.IsControl):
		f.add(field, nil, "must be one line without control characters")
	}
}

func (f *faults) routing(j firjob.Job) {
	if j.RouteKey != "" {
		if j.Route != firjob.RouteConsistentHash {
			f.add("route_key", j.RouteKey, "belongs to route %q", firjob.RouteConsistentHash)
		}
		f.name("route_key", j.RouteKey)
	}
	f.routeOrder(j)
	*f = append(*f, naming.Labels("selector", j.Selector)...)
}

func (f *faults) routeOrder(j firjob.Job) {
	switch n := len(j.RouteOrder); {
	case n > 0 && j.Route != firjob.RouteFailover:
		f.add("route_order", nil, "belongs to route %q", firjob.RouteFailover)
	case n > firjob.MaxRouteOrder:
		f.add("route_order", nil, "has %d entries; want at most %d", n, firjob.MaxRouteOrder)
	default:
		for i, address := range j.RouteOrder {
			for _, fault := range naming.Address(address) {
				f.add(fmt.Sprintf("route_order[%d]", i), address, "%s", fault.Message)
			}
			if slices.Index(j.RouteOrder, address) < i {
				f.add(fmt.Sprintf("route_order[%d]", i), address, "stands there twice")
			}
		}
	}
}

func (f *faults) parents(j firjob.Job) {
	if j.Parents == nil {
		return
	}
	oneOf(f, "parents.join", j.Parents.Join, firjob.JoinAll, firjob.JoinAny)
	if n := len(j.Parents.Of); n < 1 || n > firjob.MaxParents {
		f.add("parents.of", nil, "must name 1 to %d jobs", firjob.MaxParents)
		return
	}
	seen := map[firjob.JobID]bool{}
	for i, p := range j.Parents.Of {
		field := ParentField(i)
		switch {
		case p.Job == 0:
			f.add(field+".job", nil, "is missing")
		case p.Job == j.ID:
			f.add(field+".job", p.Job, "is the job itself")
		case seen[p.Job]:
			f.add(field+".job", p.Job, "stands there twice")
		}
		seen[p.Job] = true
		oneOf(f, field+".on", p.On, firjob.OnSuccess, firjob.OnFailure, firjob.OnEnd)
	}
}

// contradictions names policies that cannot hold together.
func (f *faults) contradictions(j firjob.Job) {
	broadcast, call := j.Route == firjob.RouteBroadcast, j.HTTP != nil
	against := func(is bool, field string, value any, other, why string) {
		if is {
			f.add(field, value, "contradicts %s: %s", other, why)
		}
	}
	against(broadcast && j.Exclusive, "exclusive", true, `route "broadcast"`, "several executors run it at once")
	against(broadcast && call, "route", j.Route, `"http"`, "the server makes one call itself")
	against(broadcast && j.Retry.On == firjob.RetryOther, "retry.on", j.Retry.On, `route "broadcast"`,
		"a shard belongs to its executor")
	against(call && j.Exclusive, "exclusive", true, `"http"`, "only an executor can confirm its token")
	against(call && len(j.Selector) > 0, "selector", nil, `"http"`, "no executor runs it")
	against(call && j.Retry.On != firjob.RetryAny, "retry.on", j.Retry.On, `"http"`, "no executor runs it")
	against(j.Overlap == firjob.OverlapReplace && j.MaxRunning > 1, "max_running", j.MaxRunning, `overlap "replace"`,
		"the new one takes the place of the only one")
	against(j.Exclusive && j.Overlap == firjob.OverlapAllow && j.MaxRunning != 1, "exclusive", true, `overlap "allow"`,
		"several executions would run at once; set overlap to skip, queue or replace, or max_running to 1")
	against(j.Exclusive && j.MaxRunning > 1, "exclusive", true, `"max_running"`, "only one execution may run")
	against(j.Parents != nil && j.Schedule.Kind != firjob.ScheduleManual, "schedule.kind", j.Schedule.Kind, `"parents"`,
		"a job that is triggered by others has a schedule of kind manual")
}

// ParentField is the path of a job's i-th parent.
func ParentField(i int) string { return fmt.Sprintf("parents.of[%d]", i) }
