package jsontext

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// MaxDepth is how deeply params and results may be nested. They travel inside
// of batches, and encoding/json reads no more than 10000 levels in all.
const MaxDepth = 100

// Check returns what is wrong with params or a result of maxBytes at most,
// in words that go on after its name: "must be UTF-8". None at all is good. The
// bytes are those of the shortest spelling: spaces and escapes that JSON does not
// need do not count. Who stores the text stores what Fit returns.
func Check(text json.RawMessage, maxBytes int) error {
	switch {
	case len(text) == 0:
		return nil
	case Size(text, maxBytes) > maxBytes:
		return fmt.Errorf("must have at most %d bytes, not %d", maxBytes, Size(text, maxBytes))
	case !utf8.Valid(text):
		return errors.New("must be UTF-8")
	case depth(text) > MaxDepth:
		return fmt.Errorf("must be nested at most %d levels deep", MaxDepth)
	case !json.Valid(text):
		return fmt.Errorf("must be valid JSON: %w", json.Unmarshal(text, new(json.RawMessage)))
	}
	return nil
}

// depth returns how deeply text is nested, if it is JSON.
func depth(text []byte) int {
	deepest, now, quoted := 0, 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			now++
			deepest = max(deepest, now)
		case c == '}' || c == ']':
			now--
		}
	}
	return deepest
}

// Size returns how many bytes a limit of maxBytes counts of text: all of it
// if that is within the limit, else those of its shortest spelling.
func Size(text json.RawMessage, maxBytes int) int {
	return len(Fit(text, maxBytes))
}

// Fit returns valid JSON as it is if it has maxBytes at most, else in its
// shortest spelling.
func Fit(text json.RawMessage, maxBytes int) json.RawMessage {
	if len(text) <= maxBytes {
		return text
	}
	return Shortest(text)
}

// Shortest returns the shortest spelling of valid JSON: without the spaces and
// the escapes that it does not need. Numbers and the order of fields stay.
func Shortest(text json.RawMessage) json.RawMessage {
	if text == nil {
		return nil
	}
	short := make(json.RawMessage, 0, len(text))
	quoted := false
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case quoted && c == '\\':
			n := 0
			short, n = appendEscape(short, text[i:])
			i += n
			continue
		case c == '"':
			quoted = !quoted
			short = append(short, c)
		case quoted || c != ' ' && c != '\t' && c != '\n' && c != '\r':
			short = append(short, c)
		}
		i++
	}
	return short
}

// shortEscapes are the escapes of control characters that have two bytes.
var shortEscapes = map[rune]string{'\b': `\b`, '\f': `\f`, '\n': `\n`, '\r': `\r`, '\t': `\t`, '"': `\"`, '\\': `\\`}

// appendEscape appends the shortest spelling of the escape that text begins with,
// and returns how many bytes of text that was.
func appendEscape(short, text []byte) ([]byte, int) {
	r, n := unescape(text)
	switch {
	case r < 0 && len(text) > 1 && text[1] == '/':
		return append(short, '/'), 2
	case r < 0:
		n = min(2, len(text))
		return append(short, text[:n]...), n
	case shortEscapes[r] != "":
		return append(short, shortEscapes[r]...), n
	case r < ' ' || utf16.IsSurrogate(r): // half of a pair is no character
		return append(short, text[:n]...), n
	}
	return utf8.AppendRune(short, r), n
}

// unescape returns the character of the escape \u0000, or of the pair of them,
// that text begins with, and its length. -1: it begins with another escape.
func unescape(text []byte) (rune, int) {
	const size = len(`\u0000`)
	unit := func(text []byte) rune {
		if len(text) < size || text[0] != '\\' || text[1] != 'u' {
			return -1
		}
		n, err := strconv.ParseUint(string(text[2:size]), 16, 16)
		if err != nil {
			return -1
		}
		return rune(n)
	}
	r := unit(text)
	if !utf16.IsSurrogate(r) {
		return r, size
	}
	if pair := utf16.DecodeRune(r, unit(text[size:])); pair != unicode.ReplacementChar {
		return pair, 2 * size
	}
	return r, size
}
