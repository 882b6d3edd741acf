package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"testing/slogtest"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/jsontext"
)

// lineOf reads a line back.
func lineOf(t interface{ Fatalf(string, ...any) }, text []byte) firjob.LogLine {
	var got firjob.LogLine
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatalf("%s is no line: %v", text, err)
	}
	return got
}

// The standard library's own test of what a handler must do.
func TestLogHandlerKeepsToTheRulesOfSlog(t *testing.T) {
	t.Parallel()
	var said *stream
	slogtest.Run(t, func(*testing.T) slog.Handler {
		said = &stream{reporter: newReporter(nil, slog.LevelInfo, newServerClock(time.Now()), nil)}
		return &logHandler{own: slog.DiscardHandler, said: said}
	}, func(t *testing.T) map[string]any {
		got := lineOf(t, said.lines[0].text)
		all := map[string]any{slog.LevelKey: got.Level, slog.MessageKey: got.Text}
		if !strings.HasSuffix(t.Name(), "zero-time") { // each of our lines has a time
			all[slog.TimeKey] = got.At
		}
		if len(got.Attrs) > 0 {
			if err := json.Unmarshal(got.Attrs, &all); err != nil {
				t.Fatalf("attributes %s: %v", got.Attrs, err)
			}
		}
		return all
	})
}

type secretly struct{ text string }

func (s secretly) LogValue() slog.Value { return slog.StringValue("hidden") }

type fragile struct{}

func (fragile) LogValue() slog.Value         { panic("no value") }
func (fragile) MarshalJSON() ([]byte, error) { panic("no JSON") }

type jsonError struct{ Code int }

func (jsonError) Error() string                  { return "as text" }
func (e jsonError) MarshalJSON() ([]byte, error) { return []byte(`{"code":7}`), nil }

func TestAttributesAreJSON(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		value any
		want  string
	}{
		{"text", "a\"b\\c\nd\te\x01<&>\u2028é", `"a\"b\\c\nd\te\u0001<&>` + "\u2028" + `é"`},
		{"text that no column takes", "a\x00b\xffc", "\"a\uFFFDb\uFFFDc\""},
		{"numbers", []any{1, 2.5}, `[1,2.5]`},
		{"negative", -7, `-7`},
		{"unsigned", uint64(math.MaxUint64), `18446744073709551615`},
		{"float", 1e300, `1e+300`},
		{"no number", math.NaN(), `"NaN"`},
		{"infinite", math.Inf(-1), `"-Inf"`},
		{"bool", true, `true`},
		{"duration", 90 * time.Second, `"1m30s"`},
		{"time", time.Date(2027, 3, 1, 8, 0, 0, 5e6, time.UTC), `"2027-03-01T08:00:00.005Z"`},
		{"error", errors.New("no paper"), `"no paper"`},
		{"error that is nil inside", (*statusError)(nil), `"<nil>"`},
		{"error with a JSON of its own", jsonError{7}, `{"code":7}`},
		{"nil", nil, `null`},
		{"struct", struct{ A, B int }{1, 2}, `{"A":1,"B":2}`},
		{"bytes of JSON", json.RawMessage(`{"a":"<"}`), `{"a":"<"}`},
		{"JSON with NUL inside", []string{"a\x00"}, `["a\ufffd"]`},
		{"JSON that is no UTF-8", json.RawMessage("\"caf\xe9\""), "\"\\\"caf\uFFFD\\\"\""},
		{"valuer", secretly{"swordfish"}, `"hidden"`},
		{"function", func() {}, `"!ERROR: json: unsupported type: func()"`},
		{"group", slog.GroupValue(slog.Int("a", 1), slog.Any("s", secretly{}), slog.Group("g", "b", 2), slog.Group("none")), `{"a":1,"s":"hidden","g":{"b":2}}`},
	} {
		got := string(encodeAttrs([]slog.Attr{slog.Any("k", test.value)}, firjob.MaxLogLine))
		if want := `{"k":` + test.want + `}`; got != want {
			t.Errorf("%s: %s, want %s", test.name, got, want)
		}
	}
}

func TestAttributesThatPanic(t *testing.T) {
	t.Parallel()
	for _, value := range []any{fragile{}, struct{ F fragile }{}} {
		got := encodeAttrs([]slog.Attr{slog.Any("k", value), slog.Int("next", 1)}, firjob.MaxLogLine)
		if !json.Valid(got) || !strings.Contains(string(got), "panic") || !strings.Contains(string(got), `"next":1`) {
			t.Errorf("%T: %s", value, got)
		}
	}
}

// Whatever is logged becomes a line of bounded size that a server and Postgres
// take.
func TestLinesAreFitForAServer(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := drawText(t, "text")
		var attrs []slog.Attr
		for range rapid.IntRange(0, 4).Draw(t, "attributes") {
			attrs = append(attrs, drawAttr(t, 3))
		}
		encoded := encodeLine(time.Unix(0, rapid.Int64().Draw(t, "at")), slog.Level(rapid.IntRange(-9, 9).Draw(t, "level")), text, attrs)
		got := lineOf(t, encoded)
		if size := len(got.Text) + len(got.Attrs); size > firjob.MaxLogLine {
			t.Fatalf("a line of %d bytes", size)
		}
		if len(encoded) > chunkRoom-streamCost {
			t.Fatalf("%d bytes of JSON", len(encoded))
		}
		if !utf8.Valid(encoded) || strings.Contains(got.Text, "\x00") || holdsNUL(got.Attrs) {
			t.Fatalf("no text for Postgres: %q", encoded)
		}
		if clean := strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD"); len(clean) <= firjob.MaxLogLine && got.Text != clean {
			t.Fatalf("text %q became %q", text, got.Text)
		}
		if len(got.Attrs) > 0 && jsontext.Check(got.Attrs, firjob.MaxLogLine) != nil {
			t.Fatalf("attributes %s", got.Attrs)
		}
	})
}

func holdsNUL(text json.RawMessage) bool {
	var v any
	return json.Unmarshal(text, &v) == nil && strings.Contains(fmt.Sprint(v), "\x00")
}

// drawText makes short texts, and now and then one around the limit.
func drawText(t *rapid.T, label string) string {
	text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[<>&"\\\x00-\x1fé]*`), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, label)
	if text != "" && rapid.IntRange(0, 3).Draw(t, label+" long") == 0 {
		text = strings.Repeat(text, rapid.IntRange(firjob.MaxLogLine/2, 2*firjob.MaxLogLine).Draw(t, label+" size")/len(text)+1)
	}
	return text
}

func drawAttr(t *rapid.T, depth int) slog.Attr {
	key := drawText(t, "key")
	switch rapid.IntRange(0, 4).Draw(t, "kind") {
	case 0:
		return slog.Any(key, rapid.MapOf(rapid.String(), rapid.String()).Draw(t, "map"))
	case 1:
		return slog.Any(key, errors.New(drawText(t, "error")))
	case 2:
		if depth > 0 {
			return slog.Any(key, slog.GroupValue(drawAttr(t, depth-1), drawAttr(t, depth-1)))
		}
	case 3:
		return slog.Int(key, rapid.Int().Draw(t, "int"))
	}
	return slog.String(key, drawText(t, "value"))
}

// Of what does not fit the beginning is shown, and that there was more.
func TestLongAttributesAreCut(t *testing.T) {
	t.Parallel()
	stack := strings.Repeat("main.go:1\n", 4000)
	for _, test := range []struct {
		name  string
		attrs []slog.Attr
	}{
		{"text", []slog.Attr{slog.String("stack", stack)}},
		{"after a short one", []slog.Attr{slog.Int("n", 1), slog.String("stack", stack), slog.Int("gone", 1)}},
		{"JSON", []slog.Attr{slog.Any("list", strings.Split(stack, "\n"))}},
		{"group", []slog.Attr{slog.Group("g", "stack", stack)}},
	} {
		text := encodeAttrs(test.attrs, firjob.MaxLogLine)
		var got map[string]any
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatalf("%s: %.200s: %v", test.name, text, err)
		}
		if len(text) > firjob.MaxLogLine || len(text) < firjob.MaxLogLine/4 || got["…"] != "…" || got["gone"] != nil {
			t.Errorf("%s: %d bytes: %.200s", test.name, len(text), text)
		}
	}
	deep := any("bottom")
	for range jsontext.MaxDepth - 1 {
		deep = []any{deep}
	}
	if got := string(encodeAttrs([]slog.Attr{slog.Group("g", "deep", deep)}, firjob.MaxLogLine)); got != `{"…":"…"}` {
		t.Errorf("nested beyond what a server takes: %.300s", got)
	}
}

// Both sides hear of a record only what they want to.
func TestLogHandlerAsksBothSides(t *testing.T) {
	t.Parallel()
	var own strings.Builder
	said := &stream{reporter: newReporter(nil, slog.LevelWarn, newServerClock(time.Now()), nil)}
	log := slog.New(&logHandler{own: slog.NewTextHandler(&own, nil), said: said})
	log.Debug("one")
	log.Info("two")
	log.Warn("three")
	if ctx := context.Background(); log.Enabled(ctx, slog.LevelDebug) || !log.Enabled(ctx, slog.LevelInfo) {
		t.Error("what nobody hears is enabled, or what one hears is not")
	}
	if strings.Count(own.String(), "\n") != 2 || len(said.lines) != 1 || !strings.Contains(string(said.lines[0].text), "three") {
		t.Errorf("the own log has %q, the server's %d lines", own.String(), len(said.lines))
	}
}

func TestTextIsClipped(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text, want string
		limit      int
	}{
		{"short", "short", 5},
		{"longer", "lo…", 5},
		{"ééé", "é…", 5}, // not half a letter
		{"a\x00b\xff\xfe", "a\uFFFDb\uFFFD", 20},
		{strings.Repeat("\xff", 100), "\uFFFD", 5},
	} {
		if got := clip(test.text, test.limit); got != test.want || len(got) > test.limit {
			t.Errorf("clip(%q, %d) = %q, want %q", test.text, test.limit, got, test.want)
		}
	}
}
