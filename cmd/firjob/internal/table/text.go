package table

import (
	"strings"
	"unicode"
)

// OneLine makes text that somebody else wrote fit for a terminal: control
// characters, which could move the cursor, break a table or turn the direction
// of what follows, become spaces.
func OneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, text)
}

// wide are the ranges of characters that take two places of a terminal.
var wide = &unicode.RangeTable{R16: []unicode.Range16{
	{Lo: 0x1100, Hi: 0x115f, Stride: 1}, {Lo: 0x2e80, Hi: 0x303e, Stride: 1}, {Lo: 0x3041, Hi: 0x33ff, Stride: 1},
	{Lo: 0x3400, Hi: 0x4dbf, Stride: 1}, {Lo: 0x4e00, Hi: 0x9fff, Stride: 1}, {Lo: 0xa000, Hi: 0xa4cf, Stride: 1},
	{Lo: 0xac00, Hi: 0xd7a3, Stride: 1}, {Lo: 0xf900, Hi: 0xfaff, Stride: 1}, {Lo: 0xfe30, Hi: 0xfe6f, Stride: 1},
	{Lo: 0xff00, Hi: 0xff60, Stride: 1}, {Lo: 0xffe0, Hi: 0xffe6, Stride: 1},
}, R32: []unicode.Range32{{Lo: 0x1f300, Hi: 0x1faff, Stride: 1}, {Lo: 0x20000, Hi: 0x3fffd, Stride: 1}}}

func runeWidth(r rune) int {
	switch {
	case unicode.Is(unicode.Mn, r), unicode.Is(unicode.Cf, r):
		return 0
	case unicode.Is(wide, r):
		return 2
	}
	return 1
}

// Width returns how many places of a terminal a text takes.
func Width(text string) int {
	n := 0
	for _, r := range text {
		n += runeWidth(r)
	}
	return n
}

// Cut cuts a text to a width and ends it with an ellipsis if it is longer.
func Cut(text string, width int) string {
	if width <= 0 || Width(text) <= width {
		return text
	}
	n := 0
	for i, r := range text {
		if n += runeWidth(r); n >= width {
			return strings.TrimRight(text[:i], " ") + "…"
		}
	}
	return text
}

// pad fills a text up to a width.
func pad(text string, width int, right bool) string {
	fill := strings.Repeat(" ", max(0, width-Width(text)))
	if right {
		return fill + text
	}
	return text + fill
}

// wrap breaks a text into lines of at most width, between words where it can. At
// least one line is returned.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		for Width(word) > width {
			head := strings.TrimSuffix(Cut(word, width+1), "…")
			if head == "" {
				break
			}
			if line != "" {
				lines, line = append(lines, line), ""
			}
			lines, word = append(lines, head), word[len(head):]
		}
		switch {
		case line == "":
			line = word
		case Width(line)+1+Width(word) <= width:
			line += " " + word
		default:
			lines, line = append(lines, line), word
		}
	}
	if line != "" || len(lines) == 0 {
		lines = append(lines, line)
	}
	return lines
}
