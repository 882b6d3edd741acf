package httpapi

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/codec"
)

// bodies are buffers for what executors send; nothing of a message stays in one.
var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// maxKeptBody is the largest buffer that is kept for the next request, in bytes.
const maxKeptBody = 1 << 20

// readBody hands the body, of maxBytes at most, to use, which keeps nothing of it.
func readBody(w http.ResponseWriter, r *http.Request, maxBytes int64, use func(body []byte) error) error {
	buffer := bodies.Get().(*bytes.Buffer)
	defer func() {
		if buffer.Cap() <= maxKeptBody {
			buffer.Reset()
			bodies.Put(buffer)
		}
	}()
	_, err := buffer.ReadFrom(http.MaxBytesReader(w, r.Body, maxBytes))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return firjob.Errorf(firjob.CodeTooLarge, bodyTooLarge, tooLarge.Limit)
	case err != nil:
		return firjob.Errorf(firjob.CodeInvalid, "the body ended early: %v", err)
	}
	return use(buffer.Bytes())
}

// readWire reads a message that an executor sends as JSON, of maxBytes at most.
func readWire[T any](w http.ResponseWriter, r *http.Request, maxBytes int64) (message T, err error) {
	if in, err := codec.Of(r.Header.Get("Content-Type")); err != nil || in != codec.JSON {
		return message, unsupported(r)
	}
	err = readBody(w, r, maxBytes, func(body []byte) error { return readJSON(body, &message) })
	return message, err
}

// unsupported refuses the type of a body.
func unsupported(r *http.Request) error {
	return &httpError{
		status: http.StatusUnsupportedMediaType,
		known: firjob.Errorf(firjob.CodeInvalid, "a body of the type %q cannot be read here; send %s",
			r.Header.Get("Content-Type"), codec.JSON),
	}
}

// readJSON decodes a message. Fields that it does not know are passed over: the
// executor may be newer than the server.
func readJSON[T any](body []byte, message *T) error {
	err := json.Unmarshal(body, message)
	var syntax *json.SyntaxError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &syntax):
		return notJSON(err)
	}
	where, v, t := misfit(body, reflect.TypeFor[T](), "body")
	return faulty(where, scalar(v), misfitText(v, t))
}

// writeMessage answers with a message.
func writeMessage[M codec.Message](w http.ResponseWriter, in codec.Encoding, status int, message M) error {
	body, err := codec.Encode(in, &message)
	if err != nil {
		return fmt.Errorf("write an answer: %w", err)
	}
	w.Header().Set("Content-Type", string(in))
	w.WriteHeader(status)
	_, _ = w.Write(body) // an error of the connection has nobody to go to
	return nil
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
	case reflect.Bool:
		return huma.TypeBoolean
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
