package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/tidwall/gjson"

	"github.com/firjob/firjob"
)

// Bodies are decoded here and not by huma, for an answer must list every fault
// at once, those of shape (an unknown field, a number in place of a text) next
// to those of meaning (a cron expression that never fires); because huma takes
// "Enabled" for "enabled", which a merge patch cannot; and because it echoes
// whole objects, secrets included. The schema that describes the body in the
// OpenAPI document is the one that its shape is held against.

// parseBody returns a body that is one JSON value. An empty one is an empty
// object. encoding/json would put U+FFFD in place of what is not UTF-8.
func parseBody(raw []byte) (json.RawMessage, error) {
	raw = bytes.TrimSpace(raw)
	switch {
	case len(raw) == 0:
		return json.RawMessage("{}"), nil
	case !utf8.Valid(raw):
		return nil, notJSON(errors.New("it is not UTF-8"))
	case !json.Valid(raw):
		return nil, notJSON(json.Unmarshal(raw, new(json.RawMessage)))
	}
	return raw, nil
}

func notJSON(err error) error {
	return &httpError{http.StatusBadRequest, http.Header{},
		firjob.Errorf(firjob.CodeInvalid, "the body is not JSON: %v", err)}
}

// decode fills a T from a body and notes in f where the body departs from T's
// schema. What is faulty is left out, so that the meaning of the rest can be
// judged, too.
func decode[T any](s *server, body json.RawMessage, f *faults) T {
	judge[T](s, body, f)
	return fill[T](body, f)
}

// judge notes in f where a body departs from T's schema.
func judge[T any](s *server, body json.RawMessage, f *faults) {
	f.shape(s.api.OpenAPI().Components.Schemas, s.schemaOf(reflect.TypeFor[T]()), nil, body)
}

// fill decodes a body whose shape has been judged.
func fill[T any](body json.RawMessage, f *faults) T {
	var into T
	// The decoder goes on after a value that does not fit and reports the first.
	var wrong *json.UnmarshalTypeError
	if errors.As(json.Unmarshal(body, &into), &wrong) && len(f.list) == 0 {
		f.add(wrong.Field, nil, "is out of range")
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
		below, ok := strings.CutPrefix(field, e.Field)
		if ok && (e.Field == "" || below == "" || below[0] == '.' || below[0] == '[') {
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

// shape notes where a value departs from schema in its types and its fields.
// Enums, bounds and what is required are meaning, and the domain's to judge. A
// null is an absent field.
func (f *faults) shape(registry huma.Registry, schema *huma.Schema, at *place, v json.RawMessage) {
	for schema.Ref != "" {
		schema = registry.SchemaFromRef(schema.Ref)
	}
	switch {
	case (schema.Type == "" || typeOf(v) == huma.TypeString) && hasHalfPair(v):
		f.add(at.String(), nil, `has half of a surrogate pair, such as \ud800, which is no character`)
	case schema.Type == "" || typeOf(v) == typeNull && at != nil:
	case !hasType(v, schema.Type):
		f.add(at.String(), scalar(v), mistyped(v, schema.Type))
	case schema.Type == huma.TypeObject:
		f.fields(registry, schema, at, v)
	case schema.Type == huma.TypeArray && schema.Items != nil:
		f.elements(registry, schema.Items, at, v)
	}
}

// elements judges the members of a list, until there are more faults than an answer
// lists. A null is no member.
func (f *faults) elements(registry huma.Registry, schema *huma.Schema, at *place, list json.RawMessage) {
	for i, v := range elements(list) {
		if len(f.list) > maxFaults {
			return
		}
		element := &place{in: at, index: i}
		if typeOf(v) == typeNull {
			f.add(element.String(), nil, "must not be null")
			continue
		}
		f.shape(registry, schema, element, v)
	}
}

// fields judges the fields of an object, until there are more faults than an
// answer lists. A field that stands there twice is refused: readers differ in
// which of the two they take.
func (f *faults) fields(registry huma.Registry, schema *huma.Schema, at *place, object json.RawMessage) {
	var seen names
	for name, v := range members(object) {
		if len(f.list) > maxFaults {
			return
		}
		field := &place{in: at, field: name, index: -1}
		property, known := schema.Properties[name]
		if rest, ok := schema.AdditionalProperties.(*huma.Schema); ok && !known {
			property, known = rest, true
		}
		twice := seen.add(name)
		switch {
		case !known:
			f.add(field.String(), nil, "is not a known field; there are "+
				strings.Join(sortedKeys(schema.Properties), ", "))
		case twice:
			f.add(field.String(), nil, "stands there twice")
		default:
			f.shape(registry, property, field, v)
		}
	}
}

// place is where a value stands in a body: a field, or a member of a list. It
// becomes text only for a fault, which few values have. nil is the body itself.
type place struct {
	in    *place
	field string
	index int // -1: a field
}

// String returns the path, as in "parents.of[2].job".
func (p *place) String() string {
	switch {
	case p == nil:
		return ""
	case p.index >= 0:
		return fmt.Sprintf("%s[%d]", p.in, p.index)
	}
	return strings.TrimPrefix(p.in.String()+"."+p.field, ".")
}

// names is a set of names, most often of few.
type names struct {
	few  []string
	many map[string]bool
}

// add adds a name and reports whether it was there.
func (n *names) add(name string) bool {
	if n.many == nil && len(n.few) < 32 {
		if slices.Contains(n.few, name) {
			return true
		}
		n.few = append(n.few, name)
		return false
	}
	if n.many == nil {
		n.many = make(map[string]bool)
		for _, known := range n.few {
			n.many[known] = true
		}
	}
	known := n.many[name]
	n.many[name] = true
	return known
}

// elements yields the members of a valid JSON array in their order. gjson cuts them
// out without judging them again: with a json.Decoder for each list and object, a
// batch of jobs took five times as long to judge.
func elements(list json.RawMessage) iter.Seq2[int, json.RawMessage] {
	return func(yield func(int, json.RawMessage) bool) {
		i := -1
		gjson.ParseBytes(list).ForEach(func(_, v gjson.Result) bool {
			i++
			return yield(i, json.RawMessage(v.Raw))
		})
	}
}

// members yields the fields of a valid JSON object in their order.
func members(object json.RawMessage) iter.Seq2[string, json.RawMessage] {
	return func(yield func(string, json.RawMessage) bool) {
		gjson.ParseBytes(object).ForEach(func(name, v gjson.Result) bool {
			return yield(name.String(), json.RawMessage(v.Raw))
		})
	}
}
