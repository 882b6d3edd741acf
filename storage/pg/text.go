package pg

import (
	"encoding/json"
	"strings"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/jsontext"
)

// Clean makes text that came from elsewhere storable: Postgres refuses NUL and
// what is not UTF-8, and a result must not be refused for ever because of its
// error's text.
func Clean(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "�"), "\x00", "�")
}

// StorableJSON returns an executor's result as it can be stored, nil for none.
// One that Postgres would refuse is replaced by a note, since refusing it would
// make the executor bring it again and again.
func StorableJSON(body json.RawMessage) *string {
	if len(body) == 0 {
		return nil
	}
	text := Clean(string(body))
	switch {
	case jsontext.Check([]byte(text), firjob.MaxResult) != nil:
		text = `{"firjob": "the result was not stored: it is no JSON, too large, or nested too deeply"}`
	case len(text) > firjob.MaxResult:
		text = string(jsontext.Shortest([]byte(text)))
	}
	return &text
}

// Text makes JSON a nullable parameter of type text.
func Text(data json.RawMessage) *string { return Pointer(string(data)) }
