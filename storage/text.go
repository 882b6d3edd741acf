package storage

import (
	"encoding/json"
	"strings"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/jsontext"
)

// clean makes text that came from elsewhere storable: Postgres refuses NUL and
// what is not UTF-8, and a result must not be refused for ever because of its
// error's text.
func clean(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "�"), "\x00", "�")
}

// storableJSON returns an executor's result as it can be stored, nil for none.
// One that Postgres would refuse is replaced by a note, since refusing it would
// make the executor bring it again and again.
func storableJSON(body json.RawMessage) *string {
	if len(body) == 0 {
		return nil
	}
	text := clean(string(body))
	switch {
	case jsontext.Check([]byte(text), firjob.MaxResult) != nil:
		text = `{"firjob": "the result was not stored: it is no JSON, too large, or nested too deeply"}`
	case len(text) > firjob.MaxResult:
		text = string(jsontext.Shortest([]byte(text)))
	}
	return &text
}
