package doctor

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/cmd/firjob/internal/build"
	"github.com/firjob/firjob/cmd/firjob/internal/client"
	"github.com/firjob/firjob/cmd/firjob/internal/console"
	"github.com/firjob/firjob/internal/app"
)

// The bounds of what servers and executors are asked.
const (
	serverPatience   = 5 * time.Second
	appsPatience     = 20 * time.Second // for all apps together
	appsAtMost       = "500"            // a page
	versionQuestions = 16               // at most, over connections of their own
	serverClockBound = 2 * time.Second  // the header has whole seconds
)

// serverExam examines what a server can be asked.
type serverExam struct {
	api *client.Client
	now func() time.Time
	own string // this program's version

	findings []app.Finding
}

func (x *serverExam) add(verdict app.Verdict, check, found, remedy string) {
	x.findings = append(x.findings, app.Finding{Verdict: verdict, Check: check, Found: found, Remedy: remedy})
}

// examine asks a server how the cluster is.
func (x *serverExam) examine(ctx context.Context) []app.Finding {
	var stats struct {
		Replicas []string
		Degraded bool
	}
	asked := x.now()
	header, err := x.read(ctx, "api/v1/stats", nil, &stats)
	if err != nil {
		x.add(app.Broken, "servers", err.Error(), "start a server, or correct FIRJOB_SERVER_URL and FIRJOB_TOKEN")
		return x.findings
	}
	x.add(app.Fine, "servers", fmt.Sprintf("%d live: %s", len(stats.Replicas), strings.Join(stats.Replicas, ", ")), "")
	if stats.Degraded {
		x.add(app.Doubtful, "servers", "Redis is out of their reach: fires come from Postgres, up to a second late",
			"see that the servers' FIRJOB_REDIS_URL leads to a Redis that runs")
	}
	x.clock(header, asked)
	x.versions(ctx, len(stats.Replicas))
	x.metrics(ctx)
	x.apps(ctx)
	return x.findings
}

// clock compares the clock of the server that answered with this machine's.
func (x *serverExam) clock(header http.Header, asked time.Time) {
	at, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return // a balancer left it out
	}
	now := x.now()
	switch {
	case at.Before(asked.Add(-serverClockBound)) || at.After(now.Add(serverClockBound)):
		x.add(app.Doubtful, "server clock",
			fmt.Sprintf("%v from this machine's; it decides nothing, but its logs show it",
				at.Sub(now).Round(time.Second)),
			"let all machines follow the same NTP servers")
	default:
		x.add(app.Fine, "server clock", fmt.Sprintf("within %v of this machine's", serverClockBound), "")
	}
}

// versions asks again and again, over new connections, so that a balancer leads
// to every server.
func (x *serverExam) versions(ctx context.Context, replicas int) {
	ctx, cancel := context.WithTimeout(ctx, serverPatience)
	defer cancel()
	transport := &http.Transport{DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	fresh := *x.api
	fresh.HTTP = &http.Client{Transport: transport, Timeout: serverPatience}
	counts, zones := map[string]int{}, map[string]int{}
	asked := 0
	for ; asked < min(2*replicas+1, versionQuestions); asked++ {
		var v build.Info
		answer, err := fresh.Get(ctx, "version", nil)
		if err == nil {
			err = json.Unmarshal(answer, &v)
		}
		if err != nil {
			break
		}
		counts[v.Version]++
		zones[cmp.Or(v.TZData, "unknown")]++
	}
	seen := strings.Join(slices.Sorted(maps.Keys(counts)), ", ")
	switch {
	case asked == 0:
		x.add(app.Doubtful, "versions", "no server tells its version", "see that FIRJOB_SERVER_URL leads to a server")
	case len(counts) > 1:
		x.add(app.Doubtful, "versions", "servers of several versions answer: "+seen,
			"finish the upgrade: replace the servers of the older version")
	case counts[x.own] == 0:
		x.add(app.Doubtful, "versions",
			fmt.Sprintf("the servers are of version %s, this program is of %s", seen, x.own),
			"use the servers' program, so that the checks fit them")
	default:
		x.add(app.Fine, "versions", fmt.Sprintf("%s, in %s", seen, console.Counted(asked, "answer", "answers")), "")
	}
	if asked > 0 {
		x.zones(zones)
	}
}

// zones compares the releases of the time zone database that the servers answered:
// two of them may plan different instants for one schedule.
func (x *serverExam) zones(counts map[string]int) {
	seen := strings.Join(slices.Sorted(maps.Keys(counts)), ", ")
	if len(counts) > 1 {
		x.add(app.Doubtful, "time zones", "servers with several releases of the time zone database answer: "+seen,
			"finish the upgrade: until then two servers may plan different instants in a zone that was changed")
		return
	}
	x.add(app.Fine, "time zones", "release "+seen+" of the database", "")
}

// apps looks for apps without a live executor.
func (x *serverExam) apps(ctx context.Context) {
	asking, cancel := context.WithTimeout(ctx, appsPatience)
	defer cancel()
	var apps console.Rows[firjob.App]
	if _, err := x.read(asking, "api/v1/apps", url.Values{"page_size": {appsAtMost}}, &apps); err != nil {
		x.add(app.Broken, "apps", err.Error(), "see the server's log")
		return
	}
	if apps.NextPageToken != "" {
		x.add(app.Fine, "apps", "the first "+appsAtMost+" are looked at; there are more", "")
	}
	var all []firjob.Executor
	for i, a := range apps.Items {
		if asking.Err() != nil {
			x.add(app.Doubtful, "apps",
				fmt.Sprintf("%s not looked at: those before took %v", console.Counted(len(apps.Items)-i, "was", "were"),
					appsPatience), "see why the server is slow")
			break
		}
		check := "app " + a.Name
		var executors console.Rows[firjob.Executor]
		_, err := x.read(asking, "api/v1/apps/"+url.PathEscape(a.Name)+"/executors", nil, &executors)
		// only marked
		live := slices.DeleteFunc(executors.Items, func(e firjob.Executor) bool { return e.Incarnation == "" })
		switch {
		case err != nil:
			x.add(app.Broken, check, err.Error(), "see the server's log")
		case len(live) == 0:
			x.add(app.Doubtful, check, "no executor is alive", "start one; its executions wait")
		default:
			x.add(app.Fine, check, fmt.Sprintf("live executors: %d%s", len(live), ofVersions(live)), "")
		}
		all = append(all, live...)
	}
	x.reach(ctx, all)
}

// ofVersions lists the versions of the executors if there are several: a rollout is
// under way, or was never finished.
func ofVersions(live []firjob.Executor) string {
	seen := map[string]bool{}
	for _, e := range live {
		if e.Version != "" {
			seen[e.Version] = true
		}
	}
	if len(seen) < 2 {
		return ""
	}
	return ", of versions " + strings.Join(slices.Sorted(maps.Keys(seen)), ", ")
}

// read gets an answer of the API into v.
func (x *serverExam) read(ctx context.Context, path string, query url.Values, v any) (http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, serverPatience)
	defer cancel()
	answer, header, err := x.api.Send(ctx, client.Call{Method: http.MethodGet, Path: path, Query: query})
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(answer, v); err != nil {
		return nil, console.NotUnderstood(err)
	}
	return header, nil
}

// text gets an answer that is not of the API.
func (x *serverExam) text(ctx context.Context, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, serverPatience)
	defer cancel()
	req, err := x.api.Request(ctx, client.Call{Method: http.MethodGet, Path: path})
	if err != nil {
		return "", err
	}
	req.Header.Del("Accept")
	resp, err := x.api.HTTP.Do(req)
	if err != nil {
		return "", x.api.Unreachable(ctx, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s", req.URL.Path, resp.Status)
	}
	return string(body), err
}
