package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/firjob/firjob/cmd/firjob/internal/instant"
	"github.com/firjob/firjob/cmd/firjob/internal/table"
)

// outputFlag says what form the answer has.
type outputFlag struct {
	Output string `short:"o" enum:"table,json" default:"table" placeholder:"table|json" group:"Output:" help:"For people (table, the default) or for programs (json, as the API gives it)."`
	Color  string `enum:"auto,always,never" default:"auto" placeholder:"auto|always|never" group:"Output:" help:"Colours; by default on a terminal, unless NO_COLOR is set."`
}

// ProvideOutput gives commands their output.
func (o *outputFlag) ProvideOutput(p *process) *output {
	page := &table.Printer{Width: p.width}
	if o.Color == "always" || o.Color == "auto" && p.width > 0 && p.env("NO_COLOR") == "" {
		page.Style = styleOf
	}
	return &output{json: o.Output == "json", w: p.stdout, clock: p.clock(), page: page}
}

// zoneFlag says in which zone instants are read and shown.
type zoneFlag struct {
	Timezone string `placeholder:"ZONE" group:"Output:" help:"Read and show times in this zone, such as Asia/Shanghai; that of this machine by default."`
}

// Validate is kong's hook.
func (f zoneFlag) Validate() error {
	if _, err := time.LoadLocation(f.Timezone); err != nil {
		return fmt.Errorf("--timezone: %q is not a known time zone such as Asia/Shanghai", f.Timezone)
	}
	return nil
}

// askedZone returns the zone that a command line asks for, fallback if it names
// none. It is looked for before anything is parsed, since times on the command
// line, which may stand before the zone, are read in it.
func askedZone(args []string, fallback *time.Location) *time.Location {
	for i, arg := range args {
		name, value, inside := strings.Cut(arg, "=")
		if !inside && i+1 < len(args) {
			value = args[i+1]
		}
		if zone, err := time.LoadLocation(value); name == "--timezone" && value != "" && err == nil {
			return zone
		}
	}
	return fallback
}

// output writes answers to people or to programs.
type output struct {
	json  bool
	w     io.Writer
	clock instant.Clock // what times are shown by
	page  *table.Printer
}

// styleOf colours the states that somebody looks for.
func styleOf(cell string) string {
	word, _, _ := strings.Cut(strings.TrimSuffix(cell, "."), ":")
	word, _, _ = strings.Cut(word, " ")
	switch word {
	case "succeeded", "on", "active":
		return "\x1b[32m"
	case "failed", "timed_out", "lost":
		return "\x1b[31m"
	case "running":
		return "\x1b[36m"
	case "missed", "skipped", "cancelled", "superseded", "paused", "cordoned", "draining":
		return "\x1b[33m"
	}
	return ""
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
	return out.page.Flush(out.w)
}

// rows is a list as the API gives it.
type rows[T any] struct {
	Items         []T    `json:"items"`
	NextPageToken string `json:"next_page_token"`
}

// showList writes a list under a heading; none is what an empty one says.
func showList[T any](out *output, answer []byte, none string, heading []string, cells func(*output, T) []string) error {
	return showTable(out, answer, none, table.Titled(heading...), cells)
}

// showTable is showList with columns that adapt to the terminal.
func showTable[T any](out *output, answer []byte, none string, columns []table.Column,
	cells func(*output, T) []string) error {
	return show(out, answer, func(out *output, list rows[T]) {
		if len(list.Items) == 0 {
			out.line("%s", none)
			return
		}
		out.page.Head(columns...)
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
	return out.page.Flush(out.w)
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

// What these write waits until show or done has it all.

// row writes the cells of one line of a table.
func (out *output) row(cells ...string) { out.page.Row(cells...) }

// field writes a name and its value, if there is one.
func (out *output) field(name, value string) { out.page.Field(name, value) }

// line writes a sentence across all columns.
func (out *output) line(format string, args ...any) { out.page.Line(fmt.Sprintf(format, args...)) }

// at names what an instant is, with the zone that it is shown in.
func (out *output) at(name string) string { return out.clock.Heading(name) }

// when shows an instant, and how far it is from now; "" for none.
func (out *output) when(at *time.Time) string {
	if at == nil || at.IsZero() {
		return ""
	}
	return out.clock.Text(*at) + " (" + instant.Relative(at.Sub(out.clock.Now)) + ")"
}

// ago says how far an instant is from now; "" for none.
func (out *output) ago(at *time.Time) string {
	if at == nil || at.IsZero() {
		return ""
	}
	return instant.Relative(at.Sub(out.clock.Now))
}

// time shows an instant alone; "" for none.
func (out *output) time(at *time.Time) string {
	if at == nil || at.IsZero() {
		return ""
	}
	return out.clock.Text(*at)
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

// oneLine is table.OneLine.
func oneLine(text string) string { return table.OneLine(text) }

// counted writes a number and what it counts, in the words for one or for more.
func counted(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

func notUnderstood(err error) error { return fmt.Errorf("read the server's answer: %w", err) }
