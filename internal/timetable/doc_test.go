package timetable_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/timetable"
	"github.com/firjob/firjob/internal/validate"
)

// docs/schedules.md shows what the code does: its JSON is good, and each
// expression reads as it says.
func TestScheduleDocument(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/schedules.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```json\n(.*?)```").FindAllSubmatch(text, -1)
	for _, block := range blocks {
		if faults := documented(t, block[1]); faults != nil {
			t.Errorf("%s: %+v", block[1], faults)
		}
	}
	rows := 0
	for _, dialect := range []string{firjob.DialectUnix, firjob.DialectQuartz} {
		_, section, _ := strings.Cut(string(text), "\n### "+dialect+"\n")
		section, _, _ = strings.Cut(section, "\n## ")
		section, _, _ = strings.Cut(section, "\n### ")
		_, table, _ := strings.Cut(section, "| expression | reads |\n|---|---|\n")
		for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| (.+) \\|$").FindAllStringSubmatch(table, -1) {
			rows++
			s := firjob.Schedule{Kind: firjob.ScheduleCron, Expr: row[1], Dialect: dialect}
			timetable, err := timetable.New(s, timetable.Options{})
			if err != nil {
				t.Errorf("%s: %v", row[1], err)
			} else if got := strings.TrimSuffix(timetable.Text(), ", in UTC"); got != row[2] {
				t.Errorf("%s reads %q, the document says %q", row[1], got, row[2])
			}
		}
	}
	if len(blocks) < 6 || rows < 13 {
		t.Errorf("found %d blocks and %d rows", len(blocks), rows)
	}
}

// documented validates a schedule or a calendar.
func documented(t *testing.T, text []byte) []firjob.FieldError {
	t.Helper()
	var in struct {
		firjob.Schedule
		Mode *string `json:"mode"`
	}
	if err := json.Unmarshal(text, &in); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if in.Mode == nil {
		return validate.Schedule(in.Schedule, editNow)
	}
	var c firjob.Calendar
	if err := json.Unmarshal(text, &c); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return validate.Calendar(c)
}
