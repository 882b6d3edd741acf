package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
)

// outputFlag chooses the form of a report.
type outputFlag struct {
	Output string `short:"o" enum:"table,json" default:"table" placeholder:"table|json" help:"For people (table, the default) or for programs (json)."`
}

// ProvideOutput gives commands their output.
func (o *outputFlag) ProvideOutput(p *process) *output {
	return &output{json: o.Output == "json", w: p.stdout, table: tabwriter.NewWriter(p.stdout, 0, 8, 2, ' ', 0)}
}

// output writes reports to people or to programs.
type output struct {
	json  bool
	w     io.Writer
	table *tabwriter.Writer
}

// show writes a report: as it is, or by way of write.
func (out *output) show(report []byte, write func(*output)) error {
	if out.json {
		return out.writeJSON(report)
	}
	write(out)
	return out.table.Flush()
}

func (out *output) writeJSON(report []byte) error {
	var text bytes.Buffer
	if err := json.Indent(&text, report, "", "  "); err != nil {
		return err
	}
	text.WriteByte('\n')
	_, err := out.w.Write(text.Bytes())
	return err
}

// row writes the cells of one line of a table.
func (out *output) row(cells ...string) { fmt.Fprintln(out.table, strings.Join(cells, "\t")) }

// line writes a sentence across all columns.
func (out *output) line(format string, args ...any) { fmt.Fprintf(out.table, format+"\n", args...) }

// readFile reads a file, or standard input for "-".
func (p *process) readFile(name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(p.stdin)
	}
	return os.ReadFile(name)
}
