package worker

import (
	"log/slog"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/firjob/firjob"
)

// cutMark ends a text of which something was cut off.
const cutMark = "…"

// lineRoom is what a line takes beside its text and attributes, in bytes.
const lineRoom = 96

// encodeLine writes a firjob.LogLine as JSON. Text and attributes together have
// firjob.MaxLogLine bytes at most; the text goes first.
func encodeLine(at time.Time, level slog.Level, text string, attrs []slog.Attr) []byte {
	text = clip(text, firjob.MaxLogLine)
	object := encodeAttrs(attrs, firjob.MaxLogLine-len(text))
	line := make([]byte, 0, lineRoom+len(text)+len(object))
	line = append(line, `{"at":"`...)
	line = at.AppendFormat(line, time.RFC3339Nano)
	line = append(line, `","level":"`...)
	line = append(line, level.String()...)
	line = append(line, `","text":`...)
	line = appendQuoted(line, text)
	if len(object) > 0 {
		line = append(append(line, `,"attrs":`...), object...)
	}
	return append(line, '}')
}

// clip makes text fit for a column: valid UTF-8 without NUL, and of limit bytes
// at most.
func clip(text string, limit int) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit-len(cutMark)], "") + cutMark
}

// appendQuoted appends text as a JSON string. What is no UTF-8, and NUL, which
// Postgres keeps in no text, become U+FFFD.
func appendQuoted(dst []byte, text string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for _, r := range text {
		switch {
		case r == 0 || r == utf8.RuneError:
			dst = append(dst, "\uFFFD"...)
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '\n':
			dst = append(dst, '\\', 'n')
		case r == '\t':
			dst = append(dst, '\\', 't')
		case r < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hex[r>>4], hex[r&0xf])
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return append(dst, '"')
}
