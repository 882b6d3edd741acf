package httpapi

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// hasType reports whether a decoded JSON value is of a schema's type.
func hasType(v any, schemaType string) bool {
	switch got := typeName(v); {
	case schemaType == huma.TypeInteger && got == huma.TypeNumber:
		_, err := strconv.ParseInt(v.(json.Number).String(), 10, 64)
		return err == nil
	default:
		return got == schemaType
	}
}

// typeName returns the JSON type of a decoded value in JSON Schema's words.
func typeName(v any) string {
	switch v.(type) {
	case string:
		return huma.TypeString
	case json.Number:
		return huma.TypeNumber
	case bool:
		return huma.TypeBoolean
	case []any:
		return huma.TypeArray
	case map[string]any:
		return huma.TypeObject
	}
	return "null"
}

func article(typeName string) string {
	switch typeName {
	case huma.TypeInteger, huma.TypeArray, huma.TypeObject:
		return "an " + typeName
	case "null":
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
