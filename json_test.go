package firjob_test

import (
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/firjob/firjob"
)

func nested(levels int) string {
	return strings.Repeat("[", levels) + strings.Repeat("]", levels)
}

func TestCheckJSON(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ text, want string }{
		"nothing":              {``, ""},
		"null":                 {`null`, ""},
		"object":               {` {"a": [1, {"b": "<>"}]} `, ""},
		"as deep as may be":    {nested(firjob.MaxDepth), ""},
		"brackets in a text":   {`"` + strings.Repeat("[{", 500) + `\"` + strings.Repeat("[", 500) + `"`, ""},
		"many, but not deep":   {"[" + strings.Repeat("[],", 500) + "[]]", ""},
		"a level too deep":     {nested(firjob.MaxDepth + 1), "must be nested at most 100 levels deep"},
		"deep in an object":    {strings.Repeat(`{"a":`, 101) + "1" + strings.Repeat("}", 101), "must be nested at most 100 levels"},
		"beyond encoding/json": {nested(20_000), "must be nested at most 100 levels"},
		"too large":            {`"` + strings.Repeat("x", 65_536) + `"`, "must have at most 65536 bytes, not 65538"},
		"not UTF-8":            {"\"\xff\"", "must be UTF-8"},
		"cut off":              {`{"a":`, "must be valid JSON: unexpected end"},
		"two values":           {`1 2`, "must be valid JSON: invalid character '2' after top-level value"},
		"only closed":          {`]]]`, "must be valid JSON"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := firjob.CheckJSON([]byte(tt.text), 65_536)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// A batch of what passes can always be read again.
func TestWhatCheckJSONTakesCanTravel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := json.RawMessage(rapid.StringOfN(rapid.RuneFrom([]rune(`[]{}":,\ab1n `)), 0, 30, -1).Draw(t, "text"))
		if len(text) == 0 || firjob.CheckJSON(text, 1000) != nil {
			return
		}
		batch, err := json.Marshal([]firjob.Result{{ID: firjob.Fire(1, editNow), Result: text}})
		if err != nil {
			t.Fatalf("%s passes and cannot be written: %v", text, err)
		}
		if err := json.Unmarshal(batch, new([]firjob.Result)); err != nil {
			t.Fatalf("%s passes and cannot be read: %v", text, err)
		}
	})
}
