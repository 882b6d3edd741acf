package doctor

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/firjob/firjob/internal/app"
)

// The ages, in seconds, from which on a loop of a server counts as dead: it
// sweeps each 2 s, and computes the gauges each 20 s.
const (
	deadSweep  = 30
	deadHealth = 120
)

// mustBeZero are the metrics that no healthy server shows above zero, with what
// to do. The gauges among them are also computed from the stores, where those are
// named; here they tell what the server has found.
var mustBeZero = map[string]string{
	"firjob_early_starts_total": "see which executions those are (started_at before scheduled_at) and which " +
		"executor told so: its clock, or its client of the protocol, is wrong",
	"firjob_overdue_executions":  "see that servers run and reach Postgres, and what a server's log says",
	"firjob_orphaned_executions": "see firjob_sweep_age_seconds, and a server's log for \"end leases\"",
	"firjob_stuck_running":       "see a server's log for \"executor gone\" and \"end leases\"",
	"firjob_index_drift": "give doctor FIRJOB_DATABASE_URL and FIRJOB_REDIS_URL, so that it names them; for " +
		"what is missing, redis-cli DEL fj:meta makes the servers rebuild the index",
	"firjob_sweep_age_seconds": "restart that server, and see its log for what its sweep could not do",
	"firjob_health_age_seconds": "see that server's log for \"look for what is stuck\" and \"compare the delay " +
		"queue\"; while Redis is away the index is not compared",
	"firjob_dispatch_total": "deploy the handlers that the app's jobs name, or edit the jobs; the server's log has " +
		"their names",
}

// metrics reads those of the server that answers.
func (x *serverExam) metrics(ctx context.Context) {
	const check = "metrics"
	text, err := x.text(ctx, "metrics")
	if err != nil {
		x.add(app.Doubtful, check, "not examined: "+err.Error(),
			"let FIRJOB_SERVER_URL be a server's own address: balancers hide /metrics")
		return
	}
	before, seen := len(x.findings), 0
	for line := range strings.Lines(text) {
		m, ok := parseMetric(line)
		if !ok || mustBeZero[m.name] == "" {
			continue
		}
		seen++
		if verdict := m.verdict(); verdict != app.Fine {
			x.add(verdict, check, strings.TrimSpace(line), mustBeZero[m.name])
		}
	}
	switch {
	case seen == 0:
		x.add(app.Doubtful, check, "the server exports none of those that must be zero",
			"see that FIRJOB_SERVER_URL leads to a firjob server of this version")
	case len(x.findings) == before:
		x.add(app.Fine, check,
			fmt.Sprintf("all %d that are checked are as they must be, on the server that answered", seen), "")
	}
}

// metric is one line of the text format.
type metric struct {
	name, labels string
	value        float64
}

func parseMetric(line string) (metric, bool) {
	series, number, ok := cutLast(strings.TrimSpace(line), " ")
	value, err := strconv.ParseFloat(number, 64)
	name, labels, _ := strings.Cut(series, "{")
	return metric{name, labels, value}, ok && err == nil && !strings.HasPrefix(line, "#")
}

// cutLast cuts text around the last sep.
func cutLast(text, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(text, sep); i >= 0 {
		return text[:i], text[i+len(sep):], true
	}
	return text, "", false
}

func (m metric) verdict() app.Verdict {
	verdict, bound := app.Broken, 0.
	switch m.name {
	case "firjob_sweep_age_seconds":
		bound = deadSweep
	case "firjob_health_age_seconds":
		verdict, bound = app.Doubtful, deadHealth
	case "firjob_index_drift":
		verdict = app.Doubtful
	case "firjob_dispatch_total":
		if !strings.Contains(m.labels, `answer="unknown_handler"`) {
			return app.Fine
		}
		verdict = app.Doubtful
	}
	if m.value <= bound {
		return app.Fine
	}
	return verdict // NaN, too
}
