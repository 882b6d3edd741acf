package checker

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Report is what a check has found.
type Report struct {
	Options Options
	Began   time.Time
	Ended   time.Time
	Faults  map[string]int // how many of each class were done, and undone
	NotDone map[string]int // how many of each class could not be done

	Targets              int // fires that had to be
	Triggered            int // executions that were asked for, and promised
	Gaps, Repeats        int // changes of the clocks, forward and back, that fires were asked for around
	Excused              int // of the fires: left out by a policy, with a record
	Missed               int
	Doubled              int // a second handler under one token, or a second first attempt
	Phantoms             int
	Early                int
	Late                 int
	Zombies              int // handlers that began after one with a higher token
	Overlapped           int // handlers of one execution that were active together
	LostAcknowledgements int
	Stuck                int
	FencedOff            int // writes that a resource refused for their token

	Quiet     Lateness // of first starts while no fault was at work
	Disturbed Lateness // under a fault and until it was recovered from

	Violations []Violation

	check *check // what the report follows from
}

// Held reports whether nothing was violated.
func (r *Report) Held() bool { return len(r.Violations) == 0 }

// Bound returns the rate below which violations of a kind that was not seen are,
// with 95 % confidence: the rule of three.
func (r *Report) Bound() float64 {
	if r.Targets == 0 {
		return 1
	}
	return math.Min(1, 3/float64(r.Targets))
}

func (r *Report) observe(late time.Duration, disturbed bool) {
	if disturbed {
		r.Disturbed = append(r.Disturbed, late)
	} else {
		r.Quiet = append(r.Quiet, late)
	}
}

// Lateness is how late first starts were.
type Lateness []time.Duration

// Quantile returns the q-quantile, 0 ≤ q ≤ 1, by nearest rank; 0 of none.
func (l Lateness) Quantile(q float64) time.Duration {
	if len(l) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(l))
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// maxListed bounds the violations that a report lists in full.
const maxListed = 50

// Write tells the report to people.
func (r *Report) Write(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	verdict := "HELD"
	if !r.Held() {
		verdict = fmt.Sprintf("VIOLATED, %d times", len(r.Violations))
	}
	fmt.Fprintf(t, "%s\tin %v, from %s\n\n", verdict, r.Ended.Sub(r.Began).Round(time.Second),
		r.Began.UTC().Format(time.RFC3339))
	fmt.Fprintf(t, "fires that had to be\t%d\t(none of what is zero below is above 1 in %.0f, with 95 %% confidence)\n",
		r.Targets, 1/r.Bound())
	for _, line := range []struct {
		name string
		n    int
		note string
	}{
		{"triggered through the API", r.Triggered, "(and answered for; they count as fires do)"},
		{"missed", r.Missed, ""},
		{"doubled", r.Doubled, ""},
		{"recorded without reason", r.Phantoms, ""},
		{"early", r.Early, ""},
		{"late", r.Late, fmt.Sprintf("(over %v; under faults, %v after the end of the fault)", r.Options.OnTime,
			r.Options.Recovery)},
		{"zombie starts", r.Zombies, ""},
		{"lost acknowledgements", r.LostAcknowledgements, ""},
		{"stuck", r.Stuck, ""},
		{"left out by a policy", r.Excused, "(allowed)"},
		{"handlers active together", r.Overlapped, "(allowed while a fault keeps an executor from hearing of it)"},
		{"writes fenced off", r.FencedOff, "(allowed)"},
	} {
		fmt.Fprintf(t, "%s\t%d\t%s\n", line.name, line.n, line.note)
	}
	fmt.Fprintf(t, "\nlateness\tp50\tp99\tmax\tof\n")
	for _, l := range []struct {
		name string
		of   Lateness
	}{{"quiet", r.Quiet}, {"under faults", r.Disturbed}} {
		fmt.Fprintf(t, "%s\t%v\t%v\t%v\t%d\n", l.name, round(l.of.Quantile(0.5)), round(l.of.Quantile(0.99)),
			round(l.of.Quantile(1)), len(l.of))
	}
	fmt.Fprintf(t, "\nfaults\t%s\n", counted(r.Faults))
	if len(r.NotDone) > 0 {
		fmt.Fprintf(t, "not done\t%s\n", counted(r.NotDone))
	}
	if r.Gaps+r.Repeats > 0 {
		fmt.Fprintf(t, "clock changes\t%d forward, %d back\n", r.Gaps, r.Repeats)
	}
	for i, v := range r.Violations {
		if i == maxListed {
			fmt.Fprintf(t, "\nand %d more\n", len(r.Violations)-maxListed)
			break
		}
		fmt.Fprintf(t, "\n%s", v)
	}
	fmt.Fprintln(t)
	return t.Flush()
}

func round(d time.Duration) time.Duration {
	if d < 10*time.Millisecond {
		return d.Round(10 * time.Microsecond)
	}
	return d.Round(time.Millisecond)
}

func counted(faults map[string]int) string {
	var parts []string
	for _, class := range slices.Sorted(maps.Keys(faults)) {
		parts = append(parts, fmt.Sprintf("%d × %s", faults[class], class))
	}
	if parts == nil {
		return "none"
	}
	return strings.Join(parts, ", ")
}
