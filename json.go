package firjob

import (
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// MaxDepth is how deeply params and results may be nested. They travel inside
// of batches, and encoding/json reads no more than 10000 levels in all.
const MaxDepth = 100

// CheckJSON returns what is wrong with params or a result of maxBytes at most,
// in words that go on after its name: "must be UTF-8". None at all is good.
func CheckJSON(text json.RawMessage, maxBytes int) error {
	switch {
	case len(text) == 0:
		return nil
	case len(text) > maxBytes:
		return fmt.Errorf("must have at most %d bytes, not %d", maxBytes, len(text))
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
