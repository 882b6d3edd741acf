package console

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/firjob/firjob/cmd/firjob/internal/instant"
	"github.com/firjob/firjob/cmd/firjob/internal/table"
)

// OutputFlag says what form the answer has.
type OutputFlag struct {
	Output string `short:"o" enum:"table,json" default:"table" placeholder:"table|json" group:"Output:" help:"table for people (the default), or json as the API gives it."`
	Color  string `enum:"auto,always,never" default:"auto" placeholder:"auto|always|never" group:"Output:" help:"Colours; by default on a terminal, unless NO_COLOR is set."`
}

// ProvideOutput gives commands their output.
func (o *OutputFlag) ProvideOutput(p *Process) *Output {
	page := &table.Printer{Width: p.Width}
	if o.Color == "always" || o.Color == "auto" && p.Width > 0 && p.Env("NO_COLOR") == "" {
		page.Style = styleOf
	}
	return &Output{JSON: o.Output == "json", W: p.Stdout, Clock: p.Clock(), Page: page}
}

// ZoneFlag says in which zone instants are read and shown.
type ZoneFlag struct {
	Timezone string `placeholder:"ZONE" group:"Output:" help:"Read and show times in this zone, such as Asia/Shanghai; that of this machine by default."`
}

// Validate is kong's hook.
func (f ZoneFlag) Validate() error {
	if _, err := time.LoadLocation(f.Timezone); err != nil {
		return fmt.Errorf("--timezone: %q is not a known time zone such as Asia/Shanghai", f.Timezone)
	}
	return nil
}

// AskedZone returns the zone that a command line asks for, fallback if it names
// none. It is looked for before anything is parsed, since times on the command
// line, which may stand before the zone, are read in it.
func AskedZone(args []string, fallback *time.Location) *time.Location {
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

// Output writes answers to people or to programs.
type Output struct {
	JSON  bool
	W     io.Writer
	Clock instant.Clock // what times are shown by
	Page  *table.Printer
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

// Show writes an answer of the API: as it came, indented, or by way of write.
func Show[T any](out *Output, answer []byte, write func(*Output, T)) error {
	if out.JSON {
		return out.WriteJSON(answer)
	}
	var v T
	if err := json.Unmarshal(answer, &v); err != nil {
		return NotUnderstood(err)
	}
	write(out, v)
	return out.Page.Flush(out.W)
}

// Rows is a list as the API gives it.
type Rows[T any] struct {
	Items         []T    `json:"items"`
	NextPageToken string `json:"next_page_token"`
}

// ShowList writes a list under a heading; none is what an empty one says.
func ShowList[T any](out *Output, answer []byte, none string, heading []string, cells func(*Output, T) []string) error {
	return ShowTable(out, answer, none, table.Titled(heading...), cells)
}

// ShowTable is showList with columns that adapt to the terminal.
func ShowTable[T any](out *Output, answer []byte, none string, columns []table.Column,
	cells func(*Output, T) []string) error {
	return Show(out, answer, func(out *Output, list Rows[T]) {
		if len(list.Items) == 0 {
			out.Line("%s", none)
			return
		}
		out.Page.Head(columns...)
		for _, item := range list.Items {
			out.Row(cells(out, item)...)
		}
		if list.NextPageToken != "" {
			out.Line("There are more: raise --limit (0 = all).")
		}
	})
}

// Done writes what a command did, or the answer it got.
func (out *Output) Done(answer []byte, format string, args ...any) error {
	if out.JSON {
		return out.WriteJSON(answer)
	}
	out.Line(format, args...)
	return out.Page.Flush(out.W)
}

func (out *Output) WriteJSON(answer []byte) error {
	if len(answer) == 0 {
		return nil
	}
	var text bytes.Buffer
	if err := json.Indent(&text, bytes.TrimSpace(answer), "", "  "); err != nil {
		return NotUnderstood(err)
	}
	text.WriteByte('\n')
	_, err := out.W.Write(text.Bytes())
	return err
}

// What these write waits until show or done has it all.

// Row writes the cells of one line of a table.
func (out *Output) Row(cells ...string) { out.Page.Row(cells...) }

// Field writes a name and its value, if there is one.
func (out *Output) Field(name, value string) { out.Page.Field(name, value) }

// Line writes a sentence across all columns.
func (out *Output) Line(format string, args ...any) { out.Page.Line(fmt.Sprintf(format, args...)) }

// At names what an instant is, with the zone that it is shown in.
func (out *Output) At(name string) string { return out.Clock.Heading(name) }

// When shows an instant, and how far it is from now; "" for none.
func (out *Output) When(at *time.Time) string {
	if at == nil || at.IsZero() {
		return ""
	}
	return out.Clock.Text(*at) + " (" + instant.Relative(at.Sub(out.Clock.Now)) + ")"
}

// Stamp shows an instant with its zone, for texts that no heading names the zone of;
// "" for none.
func (out *Output) Stamp(at *time.Time) string {
	if at == nil || at.IsZero() {
		return ""
	}
	local := at.In(out.Clock.Zone)
	return local.Format(instant.Layout) + " " + instant.Label(local)
}

// Ago says how far an instant is from now; "" for none.
func (out *Output) Ago(at *time.Time) string {
	if at == nil || at.IsZero() {
		return ""
	}
	return instant.Relative(at.Sub(out.Clock.Now))
}

// Time shows an instant alone; "" for none.
func (out *Output) Time(at *time.Time) string {
	if at == nil || at.IsZero() {
		return ""
	}
	return out.Clock.Text(*at)
}

// Lines writes text that has line breaks of its own.
func (out *Output) Lines(text string) {
	for line := range strings.SplitSeq(text, "\n") {
		out.Line("%s", line)
	}
}

// Limit is the flag that bounds a list; 0 = all.
type Limit int

// Validate is kong's hook.
func (n Limit) Validate() error {
	if n < 0 {
		return fmt.Errorf("%d is below 0; want how many at most, 0 = all", int(n))
	}
	return nil
}

// OneLine is table.OneLine.
func OneLine(text string) string { return table.OneLine(text) }

// Counted writes a number and what it counts, in the words for one or for more.
func Counted(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

// memberOf returns the path of a member as the API names it: encoding/json adds the
// names of embedded types, which alone begin with a capital letter.
func memberOf(path string) string {
	parts := slices.DeleteFunc(strings.Split(path, "."),
		func(part string) bool { return part != "" && unicode.IsUpper(rune(part[0])) })
	return strings.Join(parts, ".")
}

// NotUnderstood is the error of an answer that has another form than this program
// expects.
func NotUnderstood(err error) error {
	var other *json.UnmarshalTypeError
	if !errors.As(err, &other) {
		return fmt.Errorf("read the server's answer: %w", err)
	}
	where := "the server's answer"
	if name := memberOf(other.Field); name != "" {
		where = fmt.Sprintf("the member %q of the server's answer", name)
	}
	return fmt.Errorf("%s is a JSON %s, which this program does not expect there: "+
		"\"firjob version --server URL\" compares the versions", where, other.Value)
}
