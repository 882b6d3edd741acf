package doctor

import (
	"testing"

	"github.com/firjob/firjob/internal/app"
)

func TestMetricVerdicts(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]app.Verdict{
		`firjob_overdue_executions 0`:                                   app.Fine,
		`firjob_overdue_executions 1`:                                   app.Broken,
		`firjob_overdue_executions NaN`:                                 app.Broken,
		`firjob_sweep_age_seconds +Inf`:                                 app.Broken,
		`firjob_dispatch_total{answer="accepted",app="a"} 7`:            app.Fine,
		`firjob_dispatch_total{app="x\",answer=\"unknown_handler\""} 7`: app.Fine,
	} {
		m, parsed := parseMetric(line)
		if got := m.verdict(); !parsed || got != want {
			t.Errorf("%s: got %q, want %q", line, got, want)
		}
	}
	for _, line := range []string{"", " ", "\n", "# TYPE a gauge 1", "a", "{", "a{ x"} {
		if m, parsed := parseMetric(line); parsed {
			t.Errorf("%q is taken for %+v", line, m)
		}
	}
}
