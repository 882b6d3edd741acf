package storage

import (
	"encoding/json"
	"strings"
)

// clean makes text that came from elsewhere storable: Postgres refuses NUL and
// what is not UTF-8, and a result must not be refused for ever because of its
// error's text.
func clean(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "�"), "\x00", "�")
}

// maxDepth is how deeply a result may be nested. Postgres reads JSON by
// recursion and gives up at some thousands.
const maxDepth = 500

// storableJSON returns an executor's result as it can be stored, nil for none.
// One that Postgres would refuse is replaced by a note, since refusing it would
// make the executor bring it again and again.
func storableJSON(body json.RawMessage) *string {
	if len(body) == 0 {
		return nil
	}
	text := clean(string(body))
	if !json.Valid([]byte(text)) || depth(text) > maxDepth {
		text = `{"firjob": "the result was not stored: it is no JSON, or nested too deeply"}`
	}
	return &text
}

// depth returns how deeply valid JSON is nested.
func depth(text string) int {
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
