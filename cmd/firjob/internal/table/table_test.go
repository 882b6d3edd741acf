package table_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob/cmd/firjob/internal/table"
)

var columns = []table.Column{{Title: "ID"}, {Title: "JOB", Cut: true}, {Title: "SHARD", Optional: true},
	{Title: "TOOK", Right: true}, {Title: "EXECUTOR", Drop: true}, {Title: "REASON", Note: true}}

var fullDisk = "disk is full: " + strings.Repeat("no space is left on the device; ", 4)

func printed(t *testing.T, width int, style func(string) string) string {
	t.Helper()
	p := table.Printer{Width: width, Style: style}
	p.Line("A list\x1b[2J of\njobs:")
	p.Head(columns...)
	p.Row("1", "billing/a-job-of-a-long-name", "", "1.25s", "10.0.0.7:9999", "")
	p.Row("22", "计费/报告", "", "3ms", "10.0.0.8:9999", fullDisk)
	p.Field("Job", "22")
	p.Field("Empty", "")
	p.Field("Reason", "the upstream service is down and will be back")
	var b strings.Builder
	if err := p.Flush(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTable(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		width int
		want  string
	}{
		{"as wide as need be", 0, `A list [2J of jobs:
ID  JOB                            TOOK  EXECUTOR       REASON
1   billing/a-job-of-a-long-name  1.25s  10.0.0.7:9999  -
22  计费/报告                       3ms  10.0.0.8:9999  ` + fullDisk + `
Job:     22
Reason:  the upstream service is down and will be back
`}, {"narrow", 40, `A list [2J of jobs:
ID  JOB                            TOOK
1   billing/a-job-of-a-long-name  1.25s
22  计费/报告                       3ms
    disk is full: no space is left on
    the device; no space is left on the…
Job:     22
Reason:  the upstream service is down
         and will be back
`}, {"narrower", 30, `A list [2J of jobs:
ID  JOB                   TOOK
1   billing/a-job-of-a…  1.25s
22  计费/报告              3ms
    disk is full: no space is
    left on the device; no sp…
Job:     22
Reason:  the upstream service
         is down and will be
         back
`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := printed(t, tt.width, nil)
			for i, line := range strings.Split(strings.TrimSuffix(got, "\n"), "\n") {
				if tt.width > 0 && i > 0 && table.Width(line) > tt.width {
					t.Errorf("%q is wider than %d", line, tt.width)
				}
			}
			if got != tt.want {
				t.Errorf("printed (-want +got):\n%s", cmp.Diff(tt.want, got))
			}
		})
	}
}

// Colours change no width and stand around whole cells.
func TestStyle(t *testing.T) {
	t.Parallel()
	style := func(cell string) string {
		if cell == "3ms" {
			return "\x1b[31m"
		}
		return ""
	}
	plain, coloured := printed(t, 40, nil), printed(t, 40, style)
	if strings.Count(coloured, "\x1b[31m") != 1 {
		t.Errorf("want one cell in colour:\n%s", coloured)
	}
	if got := strings.NewReplacer("\x1b[31m", "", "\x1b[0m", "").Replace(coloured); got != plain {
		t.Errorf("without the colours (-want +got):\n%s", cmp.Diff(plain, got))
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"short": "short", "exactly": "exactly", "too long": "too lo…", "报告报告": "报告报…"} {
		if got := table.Cut(text, 7); got != want {
			t.Errorf("Cut(%q, 7) = %q, want %q", text, got, want)
		}
	}
}
