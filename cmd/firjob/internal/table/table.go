// Package table prints tables, fields and sentences for people: aligned, within
// the width of the terminal, and with nothing in them that could move its cursor.
package table

import (
	"bytes"
	"io"
	"slices"
	"strings"
)

// Column is a column of a table.
type Column struct {
	Title    string
	Optional bool // left out while every cell is empty
	Right    bool // numbers and durations
	Cut      bool // may be cut to fit
	Drop     bool // may be left out to fit, the last one first
	Note     bool // moves below its row if the table does not fit
}

// Titled returns plain columns.
func Titled(titles ...string) []Column {
	columns := make([]Column, len(titles))
	for i, title := range titles {
		columns[i].Title = title
	}
	return columns
}

// Printer collects what is printed until Flush.
type Printer struct {
	Width int                      // of a line; 0 = as wide as need be
	Style func(cell string) string // the escape sequence for a cell, "" for none; nil without colours

	out     bytes.Buffer
	columns []Column
	rows    [][]string
	fields  [][]string
}

// Head begins a table.
func (p *Printer) Head(columns ...Column) {
	p.end()
	p.columns = columns
}

// Row adds a row to the table that Head began, or to one without a heading.
func (p *Printer) Row(cells ...string) {
	if len(p.fields) > 0 {
		p.end()
	}
	row := make([]string, len(cells))
	for i, cell := range cells {
		row[i] = OneLine(cell)
	}
	p.rows = append(p.rows, row)
}

// Field adds a name and its value, if there is one.
func (p *Printer) Field(name, value string) {
	if value == "" {
		return
	}
	if len(p.rows) > 0 || p.columns != nil {
		p.end()
	}
	p.fields = append(p.fields, []string{name + ":", OneLine(value)})
}

// Line adds a sentence across all columns.
func (p *Printer) Line(text string) {
	p.end()
	p.out.WriteString(OneLine(text) + "\n")
}

// Flush writes what was collected.
func (p *Printer) Flush(w io.Writer) error {
	p.end()
	defer p.out.Reset()
	_, err := w.Write(p.out.Bytes())
	return err
}

// end lays out the table or the fields that were begun.
func (p *Printer) end() {
	switch {
	case len(p.fields) > 0:
		p.layFields()
	case len(p.rows) > 0:
		p.layTable()
	}
	p.columns, p.rows, p.fields = nil, nil, nil
}

const gap = 2 // between columns

// layFields aligns values and wraps long ones below themselves.
func (p *Printer) layFields() {
	indent := 0
	for _, f := range p.fields {
		indent = max(indent, Width(f[0])+gap)
	}
	for _, f := range p.fields {
		lines := []string{f[1]}
		if room := p.Width - indent; p.Width > 0 && room >= 20 {
			lines = wrap(f[1], room)
		}
		p.out.WriteString(pad(f[0], indent, false) + p.styled(lines[0], lines[0]) + "\n")
		for _, line := range lines[1:] {
			p.out.WriteString(strings.Repeat(" ", indent) + line + "\n")
		}
	}
}

// layTable fits the columns into the width and prints them.
func (p *Printer) layTable() {
	l := newLayout(p.columns, p.rows)
	l.fit(p.Width)
	if p.columns != nil {
		p.printRow(l, titles(p.columns), true)
	}
	for _, row := range p.rows {
		p.printRow(l, row, false)
		if note := l.noteOf(row); note != "" {
			lines := wrap(note, max(p.Width-2*gap, 20))
			if len(lines) > noteLines {
				lines = append(lines[:noteLines-1], Cut(strings.Join(lines[noteLines-1:], " "), p.Width-2*gap))
			}
			for _, line := range lines {
				p.out.WriteString(strings.Repeat(" ", 2*gap) + line + "\n")
			}
		}
	}
}

// noteLines is how many lines a note below its row takes at most.
const noteLines = 2

func (p *Printer) printRow(l *layout, row []string, head bool) {
	var line strings.Builder
	last := l.lastOf(row)
	for i := range row {
		if l.hidden[i] || i > last {
			continue
		}
		cell := row[i]
		if cell == "" {
			cell = "-"
		}
		cell = Cut(cell, l.widths[i])
		padded := cell
		if right := l.columns[i].Right; right || i < last {
			padded = pad(cell, l.widths[i], right)
		}
		if !head {
			padded = p.styled(row[i], padded)
		}
		line.WriteString(padded)
		if i < last {
			line.WriteString(strings.Repeat(" ", gap))
		}
	}
	p.out.WriteString(line.String() + "\n")
}

// styled puts the escape sequence for a cell around its text.
func (p *Printer) styled(cell, text string) string {
	if p.Style == nil {
		return text
	}
	if code := p.Style(cell); code != "" {
		return code + text + "\x1b[0m"
	}
	return text
}

func titles(columns []Column) []string {
	list := make([]string, len(columns))
	for i, c := range columns {
		list[i] = c.Title
	}
	return list
}

// layout is how wide each column is, and which are not shown in the rows.
type layout struct {
	columns []Column
	widths  []int
	hidden  []bool
	note    int // the column that moves below its row; -1 = none
}

func newLayout(columns []Column, rows [][]string) *layout {
	n := len(columns)
	for _, row := range rows {
		n = max(n, len(row))
	}
	l := &layout{columns: make([]Column, n), widths: make([]int, n), hidden: make([]bool, n), note: -1}
	copy(l.columns, columns)
	for i, c := range l.columns {
		empty := true
		l.widths[i] = max(1, Width(c.Title))
		for _, row := range rows {
			if i < len(row) {
				l.widths[i] = max(l.widths[i], Width(row[i]))
				empty = empty && row[i] == ""
			}
		}
		l.hidden[i] = c.Optional && empty
	}
	return l
}

// narrowest is how far a column can be cut.
const narrowest = 12

// fit moves the note below, leaves out what may be left out and cuts what may be
// cut, in this order, until the table is no wider than width.
func (l *layout) fit(width int) {
	if width <= 0 || l.total() <= width {
		return
	}
	if l.note = slices.IndexFunc(l.columns, func(c Column) bool { return c.Note }); l.note >= 0 && !l.hidden[l.note] {
		l.hidden[l.note] = true
	}
	for i := len(l.columns) - 1; i >= 0 && l.total() > width; i-- {
		if l.columns[i].Drop {
			l.hidden[i] = true
		}
	}
	for i := range l.columns {
		if over := l.total() - width; over > 0 && l.columns[i].Cut && !l.hidden[i] {
			l.widths[i] = max(l.widths[i]-over, min(l.widths[i], narrowest))
		}
	}
}

func (l *layout) total() int {
	sum := -gap
	for i, w := range l.widths {
		if !l.hidden[i] {
			sum += w + gap
		}
	}
	return sum
}

// lastOf returns the last column of a row that is shown: it is not padded.
func (l *layout) lastOf(row []string) int {
	for i := len(row) - 1; i >= 0; i-- {
		if !l.hidden[i] {
			return i
		}
	}
	return -1
}

func (l *layout) noteOf(row []string) string {
	if l.note < 0 || l.note >= len(row) {
		return ""
	}
	return row[l.note]
}
