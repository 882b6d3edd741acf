package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
)

// outputFlag says what form the answer has.
type outputFlag struct {
	Output string `short:"o" enum:"table,json" default:"table" placeholder:"table|json" help:"For people (table, the default) or for programs (json, as the API gives it)."`
}

// ProvideOutput gives commands their output.
func (o *outputFlag) ProvideOutput(p *process) *output {
	return &output{json: o.Output == "json", w: p.stdout, now: p.now(),
		table: tabwriter.NewWriter(p.stdout, 0, 8, 2, ' ', 0)}
}

// output writes answers to people or to programs.
type output struct {
	json  bool
	w     io.Writer
	now   time.Time // what relative times refer to
	table *tabwriter.Writer
}

// show writes an answer of the API: as it came, indented, or by way of write.
func show[T any](out *output, answer []byte, write func(*output, T)) error {
	if out.json {
		return out.writeJSON(answer)
	}
	var v T
	if err := json.Unmarshal(answer, &v); err != nil {
		return notUnderstood(err)
	}
	write(out, v)
	return out.table.Flush()
}

// rows is a list as the API gives it.
type rows[T any] struct {
	Items         []T    `json:"items"`
	NextPageToken string `json:"next_page_token"`
}

// showList writes a list under a heading; none is what an empty one says.
func showList[T any](out *output, answer []byte, none string, heading []string, cells func(*output, T) []string) error {
	return show(out, answer, func(out *output, list rows[T]) {
		if len(list.Items) == 0 {
			out.line("%s", none)
			return
		}
		out.row(heading...)
		for _, item := range list.Items {
			out.row(cells(out, item)...)
		}
		if list.NextPageToken != "" {
			out.line("There are more: raise --limit (0 = all).")
		}
	})
}

// done writes what a command did, or the answer it got.
func (out *output) done(answer []byte, format string, args ...any) error {
	if out.json {
		return out.writeJSON(answer)
	}
	out.line(format, args...)
	return out.table.Flush()
}

func (out *output) writeJSON(answer []byte) error {
	if len(answer) == 0 {
		return nil
	}
	var text bytes.Buffer
	if err := json.Indent(&text, bytes.TrimSpace(answer), "", "  "); err != nil {
		return notUnderstood(err)
	}
	text.WriteByte('\n')
	_, err := out.w.Write(text.Bytes())
	return err
}

// The errors of these three wait in the table's writer until it is flushed.

// row writes the cells of one line of a table.
func (out *output) row(cells ...string) {
	shown := make([]string, len(cells))
	for i, cell := range cells {
		shown[i] = orDash(oneLine(cell))
	}
	fmt.Fprintln(out.table, strings.Join(shown, "\t"))
}

// field writes a name and its value, if there is one.
func (out *output) field(name, value string) {
	if value != "" {
		fmt.Fprintf(out.table, "%s:\t%s\n", name, oneLine(value))
	}
}

// line writes a sentence across all columns.
func (out *output) line(format string, args ...any) {
	fmt.Fprintln(out.table, oneLine(fmt.Sprintf(format, args...)))
}

// lines writes text that has line breaks of its own.
func (out *output) lines(text string) {
	for line := range strings.SplitSeq(text, "\n") {
		out.line("%s", line)
	}
}

// limit is the flag that bounds a list; 0 = all.
type limit int

// Validate is kong's hook.
func (n limit) Validate() error {
	if n < 0 {
		return fmt.Errorf("%d is below 0; want how many at most, 0 = all", int(n))
	}
	return nil
}

// oneLine makes text that somebody else wrote fit for a terminal: control
// characters, which could move the cursor, break a table or turn the direction
// of what follows, become spaces.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, text)
}

// counted writes a number and what it counts, in the words for one or for more.
func counted(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
