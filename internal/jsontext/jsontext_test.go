package jsontext_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"pgregory.net/rapid"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/jsontext"
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
		"as deep as may be":    {nested(jsontext.MaxDepth), ""},
		"brackets in a text":   {`"` + strings.Repeat("[{", 500) + `\"` + strings.Repeat("[", 500) + `"`, ""},
		"many, but not deep":   {"[" + strings.Repeat("[],", 500) + "[]]", ""},
		"a level too deep":     {nested(jsontext.MaxDepth + 1), "must be nested at most 100 levels deep"},
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
			err := jsontext.Check([]byte(tt.text), 65_536)
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
		if len(text) == 0 || jsontext.Check(text, 1000) != nil {
			return
		}
		batch, err := json.Marshal([]firjob.Result{{ID: firjob.Fire(1, time.Unix(0, 0)), Result: text}})
		if err != nil {
			t.Fatalf("%s passes and cannot be written: %v", text, err)
		}
		if err := json.Unmarshal(batch, new([]firjob.Result)); err != nil {
			t.Fatalf("%s passes and cannot be read: %v", text, err)
		}
	})
}

func TestShortestJSON(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`1`:                                `1`,
		" { \"a\" :\n[ 1.50 ,\ttrue ]\r} ": `{"a":[1.50,true]}`,
		`"a b\u0041\u4e2d\/\ud83d\ude00"`:  `"a bA中/😀"`,
		`"\u000a\u0022\u005c\u0000\u001F"`: `"\n\"\\\u0000\u001F"`,
		`"\ud800 \udc00\ud800\n"`:          `"\ud800 \udc00\ud800\n"`,
		`"\" \\" `:                         `"\" \\"`,
		`{"\u0061":1,"a":2}`:               `{"a":1,"a":2}`,
	} {
		if got := string(jsontext.Shortest([]byte(text))); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

// However a value is spelled, its shortest spelling is the same, says the same, and
// is what a limit counts.
func TestLimitsDoNotCountTheSpelling(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		value := map[string]any{rapid.String().Draw(t, "name"): rapid.SliceOf(rapid.String()).Draw(t, "texts"), "n": 1.5}
		plain, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		indented, err := json.MarshalIndent(value, " ", "\t")
		if err != nil {
			t.Fatal(err)
		}
		var escaped strings.Builder
		for _, r := range string(plain) {
			if r < 128 {
				escaped.WriteRune(r)
				continue
			}
			for _, unit := range utf16.AppendRune(nil, r) {
				fmt.Fprintf(&escaped, `\u%04X`, unit)
			}
		}
		want := jsontext.Shortest(plain)
		var back map[string]any
		if err := json.Unmarshal(want, &back); err != nil {
			t.Fatalf("%s: %v", want, err)
		}
		if again, err := json.Marshal(back); err != nil || string(again) != string(plain) {
			t.Fatalf("%s became %s (%v)", plain, again, err)
		}
		for _, spelled := range [][]byte{indented, []byte(escaped.String()), want} {
			if got := jsontext.Shortest(spelled); string(got) != string(want) {
				t.Fatalf("%s: got %s, want %s", spelled, got, want)
			}
			if err := jsontext.Check(spelled, len(want)); err != nil {
				t.Fatalf("%s: %v", spelled, err)
			}
			if jsontext.Check(spelled, len(want)-1) == nil {
				t.Fatalf("%s passes a limit below its shortest spelling %s", spelled, want)
			}
		}
	})
}
