package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/app"
)

// serve runs a server on the installation's stores and returns its address.
func (i *installation) serve() string {
	i.t.Helper()
	s, err := app.NewServer(i.t.Context(), app.Options{DatabaseURL: i.url, RedisURL: i.redisURL, HTTPAddr: "127.0.0.1:0", LeaseTTL: 5 * time.Second})
	i.must(err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(i.t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	i.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			i.t.Errorf("the server ended: %v", err)
		}
	})
	return s.Addr()
}

// scrape returns the server's own metrics by name and labels.
func (i *installation) scrape(address string) map[string]float64 {
	i.t.Helper()
	resp, err := http.Get("http://" + address + "/metrics")
	i.must(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	i.must(err)
	values := map[string]float64{}
	for line := range strings.Lines(string(body)) {
		if at := strings.LastIndex(line, " "); at > 0 && strings.HasPrefix(line, "firjob_") {
			values[line[:at]], err = strconv.ParseFloat(strings.TrimSpace(line[at:]), 64)
			i.must(err)
		}
	}
	return values
}

// awaitMetrics scrapes until done.
func (i *installation) awaitMetrics(address, what string, done func(map[string]float64) bool) map[string]float64 {
	i.t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); ; <-tick.C {
		values := i.scrape(address)
		if done(values) {
			return values
		}
		if time.Now().After(deadline) {
			i.t.Fatalf("waited a minute for %s; the metrics are %v", what, values)
		}
	}
}

// callBackEarly reports a result whose handler began before its time.
func (i *installation) callBackEarly(address string) {
	i.t.Helper()
	id := i.plan(-3 * time.Second)
	i.exec(`UPDATE executions SET state = 'running', attempt = 1, token = 7, lease_until = now() + interval '1 hour' WHERE id = $1`, id.String())
	body, err := json.Marshal(firjob.Callback{App: "billing", Address: "10.0.0.7:9999", Incarnation: "a", Results: []firjob.Result{{
		ID: id, Token: 7, Outcome: firjob.OutcomeSucceeded, StartedAt: id.ScheduledAt().Add(-time.Second), FinishedAt: id.ScheduledAt()}}})
	i.must(err)
	req, err := http.NewRequestWithContext(i.t.Context(), http.MethodPost, "http://"+address+firjob.PathCallback, bytes.NewReader(body))
	i.must(err)
	req.Header.Set("Content-Type", "application/json")
	req.SetBasicAuth("billing", secret)
	resp, err := http.DefaultClient.Do(req)
	i.must(err)
	defer resp.Body.Close()
	if answer, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(answer), string(firjob.ReceiptRecorded)) {
		i.t.Fatalf("the callback: %s %s, %v; want it recorded", resp.Status, answer, err)
	}
}

// A server exports what must be zero, and what its sweep repairs; and the page
// for operators has a line for each.
func TestMetricsOfAServer(t *testing.T) {
	t.Parallel()
	i := install(t)
	i.exec(`DELETE FROM executions`)
	i.must(i.raw.FlushAll(t.Context()).Err())
	orphan := i.plan(-time.Second)
	i.exec(`UPDATE executions SET state = 'running', attempt = 1, token = 1, claimed_by = 'gone', claimed_at = now(), lease_until = now() + interval '1 s' WHERE id = $1`, orphan.String())
	address := i.serve()
	values := i.awaitMetrics(address, "the first look", func(v map[string]float64) bool {
		_, executions := v["firjob_stuck_running"]
		_, index := v[`firjob_index_drift{kind="missing"}`]
		return executions && index
	})
	for _, name := range []string{"firjob_overdue_executions", "firjob_orphaned_executions", "firjob_stuck_running", "firjob_early_starts_total",
		`firjob_index_drift{kind="unknown"}`, `firjob_index_drift{kind="ended"}`, `firjob_index_drift{kind="missing"}`} {
		if got, ok := values[name]; !ok || got != 0 {
			t.Errorf("%s is %v, exported %t; want 0", name, got, ok)
		}
	}
	i.must(i.raw.ZAdd(t.Context(), fmt.Sprintf("fj:{s%d}:due", i.job.ID.Shard(8)), redis.Z{Member: "a stranger"}).Err())
	overdue := i.plan(-2 * time.Second)
	repaired := func(kind string) string { return fmt.Sprintf("firjob_sweep_repairs_total{kind=%q}", kind) }
	values = i.awaitMetrics(address, "three repairs", func(v map[string]float64) bool {
		return v[repaired("lease_expired")] >= 1 && v[repaired("overdue_claimed")] >= 1 && v[repaired("stranger_removed")] >= 1
	})
	if age := values["firjob_sweep_age_seconds"]; age < 0 || age > 10 {
		t.Errorf("the sweep is %v s old, want some 2", age)
	}
	for _, id := range []firjob.ExecutionID{orphan, overdue} {
		if e, err := i.db.Execution(t.Context(), id); err != nil || e.Attempt == 0 && e.Token == 0 {
			t.Errorf("%s was not claimed again: %+v, %v", id, e, err)
		}
	}
	i.callBackEarly(address)
	values = i.scrape(address)
	if got := values["firjob_early_starts_total"]; got != 1 {
		t.Errorf("after a result whose handler began too early the counter is %v, want 1", got)
	}
	documented(t, values)
}

var (
	alertRules = regexp.MustCompile("(?s)```yaml\n(.*?)```")
	metricName = regexp.MustCompile(`firjob_\w+`)
)

// documented sees that the page for operators names every metric, and that its
// alert rules ask for none that does not exist.
func documented(t *testing.T, values map[string]float64) {
	t.Helper()
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	exported := map[string]bool{}
	for series := range values {
		name, _, _ := strings.Cut(series, "{")
		exported[name] = true
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			name = strings.TrimSuffix(name, suffix)
		}
		if !strings.Contains(string(page), "`"+name) {
			t.Errorf("docs/operations.md does not name %s", name)
		}
	}
	rules := alertRules.FindStringSubmatch(string(page))
	if rules == nil {
		t.Fatal("docs/operations.md has no alert rules")
	}
	for _, name := range metricName.FindAllString(rules[1], -1) {
		if !exported[name] {
			t.Errorf("an alert rule asks for %s, which no server exports", name)
		}
	}
}
