package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"

	"github.com/danielgtaylor/huma/v2"
)

const typeNull = "null"

// typeOf returns the type of a valid JSON value in JSON Schema's words.
func typeOf(v json.RawMessage) string {
	switch bytes.TrimSpace(v)[0] {
	case '{':
		return huma.TypeObject
	case '[':
		return huma.TypeArray
	case '"':
		return huma.TypeString
	case 't', 'f':
		return huma.TypeBoolean
	case 'n':
		return typeNull
	}
	return huma.TypeNumber
}

// hasType reports whether a valid JSON value is of a schema's type.
func hasType(v json.RawMessage, schemaType string) bool {
	if got := typeOf(v); got != huma.TypeNumber || schemaType != huma.TypeInteger {
		return got == schemaType
	}
	_, err := strconv.ParseInt(string(v), 10, 64)
	return err == nil
}

// mistyped says how a value departs from a schema's type.
func mistyped(v json.RawMessage, schemaType string) string {
	got := typeOf(v)
	switch {
	case schemaType != huma.TypeInteger || got != huma.TypeNumber:
		return "want " + article(schemaType) + ", got " + article(got)
	case bytes.ContainsAny(v, ".eE"):
		return "must be a whole number such as 5"
	}
	return "is out of range"
}

// hasHalfPair reports whether a valid JSON value has a text with an escape for one
// half of a surrogate pair and none for the other: encoding/json would put U+FFFD
// in its place without a word.
func hasHalfPair(v json.RawMessage) bool {
	for {
		i := bytes.IndexByte(v, '\\')
		if i < 0 {
			return false
		}
		v = v[i:]
		switch r := escapedAt(v); {
		case r < 0:
			v = v[2:]
		case !utf16.IsSurrogate(r):
			v = v[escapeSize:]
		case utf16.DecodeRune(r, escapedAt(v[escapeSize:])) == unicode.ReplacementChar:
			return true
		default:
			v = v[2*escapeSize:]
		}
	}
}

const escapeSize = len(`\u0000`)

// escapedAt returns what the escape that v begins with stands for, -1 unless it is
// of the form \u0000.
func escapedAt(v json.RawMessage) rune {
	if len(v) < escapeSize || v[0] != '\\' || v[1] != 'u' {
		return -1
	}
	n, err := strconv.ParseUint(string(v[2:escapeSize]), 16, 16)
	if err != nil {
		return -1
	}
	return rune(n)
}

// scalar returns a valid JSON value as it may be echoed: nil for all but short
// texts, numbers and truths.
func scalar(v json.RawMessage) any {
	if t := typeOf(v); len(v) > maxEcho || t == huma.TypeObject || t == huma.TypeArray {
		return nil
	}
	return numbersKept(v)
}

// numbersKept decodes a valid JSON value without the loss of a digit: numbers
// are json.Number.
func numbersKept(v json.RawMessage) any {
	var value any
	dec := json.NewDecoder(bytes.NewReader(v))
	dec.UseNumber()
	_ = dec.Decode(&value) // it is valid
	return value
}

// notTime says that a text is no time.
func notTime(text string) string {
	return fmt.Sprintf("%q is not a time such as 2027-01-01T00:00:00Z", brief(text, maxEcho))
}

func article(typeName string) string {
	switch typeName {
	case huma.TypeInteger, huma.TypeArray, huma.TypeObject:
		return "an " + typeName
	case typeNull:
		return typeName
	}
	return "a " + typeName
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// instant is a time as the API writes it: RFC 3339 in UTC, to the millisecond.
type instant time.Time

const instantFormat = "2006-01-02T15:04:05.000Z"

// MarshalJSON writes the time, or null for the zero time.
func (t instant) MarshalJSON() ([]byte, error) {
	at := time.Time(t)
	if at.IsZero() {
		return []byte("null"), nil
	}
	return at.UTC().AppendFormat(nil, `"`+instantFormat+`"`), nil
}

// Schema describes the text in the OpenAPI document.
func (instant) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Format: "date-time", Examples: []any{"2027-01-01T00:00:00.000Z"}}
}

// instantOf returns p's time, or null's.
func instantOf(p *time.Time) *instant {
	if p == nil || p.IsZero() {
		return nil
	}
	t := instant(*p)
	return &t
}

// span is a duration as the API writes it: Go's text without the zeros at its
// end, "5m" for "5m0s".
type span time.Duration

// MarshalText writes the text.
func (d span) MarshalText() ([]byte, error) {
	text := time.Duration(d).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return []byte(text), nil
}

// Schema describes the text in the OpenAPI document.
func (span) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Format: "duration", Examples: []any{"1m30s"}}
}
