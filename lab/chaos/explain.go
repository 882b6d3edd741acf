package chaos

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/firjob/firjob/lab/checker"
)

// What a report repeats of the logs.
const (
	explained  = 5               // violations
	logAround  = 2 * time.Second // before and after each
	logsAround = 40              // lines of each
)

// explain adds to a report what the processes said around its first violations.
func (f *folder) explain(w io.Writer, r *checker.Report) error {
	for _, v := range r.Violations[:min(explained, len(r.Violations))] {
		lines, err := f.around(v.At)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "\naround %s\n%s", v, strings.Join(lines, "")); err != nil {
			return err
		}
	}
	return nil
}

// around returns the lines of all logs about an instant, in their order.
func (f *folder) around(at time.Time) (lines []string, err error) {
	from, until := at.Add(-logAround).UTC().Format(stampLayout), at.Add(logAround).UTC().Format(stampLayout)
	for _, name := range slices.Sorted(maps.Keys(f.logs)) {
		if name == "stores" {
			continue
		}
		file, err := os.Open(f.path(filepath.Join("logs", name+".log")))
		if err != nil {
			return nil, err
		}
		text := bufio.NewScanner(file)
		for text.Scan() {
			if stamp, rest, _ := strings.Cut(text.Text(), " "); from <= stamp && stamp <= until {
				lines = append(lines, fmt.Sprintf("  %s %-9s %s\n", stamp, name, rest))
			}
		}
		if err := file.Close(); err != nil {
			return nil, err
		}
	}
	slices.Sort(lines)
	return lines[:min(logsAround, len(lines))], nil
}
