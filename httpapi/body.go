package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/firjob/firjob"
)

// Bodies are decoded here and not by huma, for an answer must list every fault
// at once, those of shape (an unknown field, a number in place of a text) next
// to those of meaning (a cron expression that never fires); because huma takes
// "Enabled" for "enabled", which a merge patch cannot; and because it echoes
// whole objects, secrets included. The schema that describes the body in the
// OpenAPI document is the one that its shape is held against.

// document is a JSON body before its shape is known.
type document struct {
	raw   []byte
	value any // numbers are json.Number: params keep every digit
}

// parseDocument reads one JSON value. An empty body is an empty object.
func parseDocument(raw []byte) (document, error) {
	if len(bytes.TrimSpace(raw)) == 0 {
		raw = []byte("{}")
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	d := document{raw: raw}
	err := dec.Decode(&d.value)
	if err == nil {
		if _, err = dec.Token(); err == nil || !errors.Is(err, io.EOF) {
			err = errors.New("there is more after the first value")
		} else {
			err = nil
		}
	}
	if err != nil {
		return d, notJSON(err)
	}
	return d, nil
}

func notJSON(err error) error {
	return &httpError{http.StatusBadRequest, http.Header{},
		firjob.Errorf(firjob.CodeInvalid, "the body is not JSON: %v", err)}
}

// decode fills a T from d and notes in f where d departs from T's schema. What
// is faulty is left out, so that the meaning of the rest can be judged, too.
func decode[T any](s *server, d document, f *faults) T {
	var into T
	f.shape(s.api.OpenAPI().Components.Schemas, s.schemaOf(reflect.TypeFor[T]()), "", d.value)
	// The decoder goes on after a value of the wrong type and reports the first.
	err := json.Unmarshal(d.raw, &into)
	var wrong *json.UnmarshalTypeError
	if len(f.list) == 0 && errors.As(err, &wrong) {
		f.add(wrong.Field, nil, "is not a value that fits here")
	}
	return into
}

// faults collects what is wrong with a body.
type faults struct {
	list []firjob.FieldError
}

// add notes one fault of the field at the dotted path, unless it is faulty
// already: a value of the wrong type is not also an empty text.
func (f *faults) add(field string, value any, message string) {
	if !covered(f.list, field) {
		f.list = append(f.list, firjob.FieldError{Field: field, Value: value, Message: message})
	}
}

// also adds faults of meaning, but for those of fields that are faulty already:
// a field of the wrong type was left out, and "is missing" would be untrue.
func (f *faults) also(list []firjob.FieldError) {
	known := len(f.list)
	for _, e := range list {
		if !covered(f.list[:known], e.Field) {
			f.list = append(f.list, e)
		}
	}
}

func covered(list []firjob.FieldError, field string) bool {
	for _, e := range list {
		if e.Field == "" || e.Field == field || strings.HasPrefix(field, e.Field+".") {
			return true
		}
	}
	return false
}

// err returns all faults as one error, or nil.
func (f *faults) err() error {
	for i, e := range f.list {
		f.list[i].Field = strings.TrimSuffix("body."+e.Field, ".")
	}
	return firjob.Invalid(f.list)
}

// shape notes where v departs from schema in its types and its fields. Enums,
// bounds and what is required are meaning, and the domain's to judge. A null is
// an absent field.
func (f *faults) shape(registry huma.Registry, schema *huma.Schema, at string, v any) {
	for schema.Ref != "" {
		schema = registry.SchemaFromRef(schema.Ref)
	}
	if v == nil && at != "" || schema.Type == "" {
		return
	}
	if schema.Type != huma.TypeObject {
		if !hasType(v, schema.Type) {
			f.add(at, v, "want "+article(schema.Type)+", got "+article(typeName(v)))
		}
		return
	}
	object, ok := v.(map[string]any)
	if !ok {
		f.add(at, v, "want an object, got "+article(typeName(v)))
		return
	}
	for _, name := range sortedKeys(object) {
		field := strings.TrimPrefix(at+"."+name, ".")
		if property, known := schema.Properties[name]; known {
			f.shape(registry, property, field, object[name])
		} else {
			f.add(field, object[name], "is not a known field; there are "+strings.Join(sortedKeys(schema.Properties), ", "))
		}
	}
}
