package httpapi

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/firjob/firjob"
)

// readWire decodes a message of an executor, of maxBytes at most. Fields it does
// not know are passed over: the executor may be newer than the server.
func readWire[T any](w http.ResponseWriter, r *http.Request, maxBytes int64) (T, error) {
	var message T
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBytes))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return message, firjob.Errorf(firjob.CodeTooLarge, "the body is larger than %d bytes", tooLarge.Limit)
	case err != nil:
		return message, firjob.Errorf(firjob.CodeInvalid, "the body ended early: %v", err)
	}
	err = json.Unmarshal(raw, &message)
	var syntax *json.SyntaxError
	switch {
	case err == nil:
		return message, nil
	case errors.As(err, &syntax):
		return message, notJSON(err)
	}
	where, v, t := misfit(raw, reflect.TypeFor[T](), "body")
	return message, faulty(where, scalar(v), misfitText(v, t))
}

// misfit finds the innermost value of a message that does not fit its place in
// a t: encoding/json says where for some of its errors only, and never in which
// item of a list.
func misfit(v json.RawMessage, t reflect.Type, at string) (string, json.RawMessage, reflect.Type) {
	fits := func(v json.RawMessage, t reflect.Type) bool {
		return json.Unmarshal(v, reflect.New(t).Interface()) == nil
	}
	switch wireType(t) {
	case huma.TypeObject:
		if typeOf(v) != huma.TypeObject {
			break
		}
		for name, member := range members(v) {
			if field, known := wireField(t, name); known && !fits(member, field) {
				return misfit(member, field, at+"."+name)
			}
		}
	case huma.TypeArray:
		var items []json.RawMessage
		_ = json.Unmarshal(v, &items) // v may be no array: then there are none
		for i, item := range items {
			if !fits(item, t.Elem()) {
				return misfit(item, t.Elem(), fmt.Sprintf("%s[%d]", at, i))
			}
		}
	}
	return at, v, t
}

// wireField returns the type of a message's field by its name in JSON.
func wireField(t reflect.Type, name string) (reflect.Type, bool) {
	if t.Kind() == reflect.Map {
		return t.Elem(), true
	}
	for _, field := range reflect.VisibleFields(t) {
		if tag, _, _ := strings.Cut(field.Tag.Get("json"), ","); tag != "" && strings.EqualFold(tag, name) {
			return field.Type, true
		}
	}
	return nil, false
}

// wireType returns what a t is in JSON, "" for anything.
func wireType(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[json.RawMessage]():
		return ""
	case reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return huma.TypeString
	}
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		return huma.TypeObject
	case reflect.Slice:
		return huma.TypeArray
	case reflect.Int, reflect.Int64, reflect.Uint32:
		return huma.TypeInteger
	}
	return huma.TypeString
}

// misfitText says what is wrong with a value that does not fit into a t.
func misfitText(v json.RawMessage, t reflect.Type) string {
	if want := wireType(t); want != "" && !hasType(v, want) {
		return mistyped(v, want)
	}
	if text, ok := numbersKept(v).(string); ok && t == reflect.TypeFor[time.Time]() {
		return notTime(text)
	}
	return json.Unmarshal(v, reflect.New(t).Interface()).Error()
}
