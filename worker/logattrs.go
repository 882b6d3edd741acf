package worker

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"time"

	"github.com/firjob/firjob/internal/jsontext"
)

// leftOut is the member that stands for attributes for which there was no room.
const leftOut = `,"` + cutMark + `":"` + cutMark + `"`

// leastCut is how many bytes of an attribute, its name included, are worth to
// be shown.
const leastCut = 24

// encodeAttrs writes attributes as a JSON object of room bytes at most, nil if
// there are none or no room. The first one that does not fit is cut off to text,
// and those after it are left out.
func encodeAttrs(attrs []slog.Attr, room int) []byte {
	if len(attrs) == 0 || room < len("{}")+len(leftOut) {
		return nil
	}
	members := appendMembers(nil, attrs, 0)
	if len(members)+1 > room { // a comma goes, two braces come
		members = cutMembers(attrs, room-1-len(leftOut))
	}
	if tooDeep(members) {
		members = []byte(leftOut)
	}
	if len(members) == 0 {
		return nil
	}
	return append(append([]byte{'{'}, members[1:]...), '}') // without the first comma
}

// tooDeep reports whether an object of these members is nested beyond what a
// server takes. Most cannot be: they have too few brackets.
func tooDeep(members []byte) bool {
	if bytes.Count(members, []byte("{"))+bytes.Count(members, []byte("[")) < jsontext.MaxDepth {
		return false
	}
	object := append(append([]byte{'{'}, members[1:]...), '}')
	return jsontext.Check(object, len(object)) != nil
}

// appendMembers writes each attribute as ,"name":value. Groups are objects; one
// without a name is its members, and one without members is nothing.
func appendMembers(dst []byte, attrs []slog.Attr, depth int) []byte {
	for _, a := range attrs {
		dst = appendMember(dst, a, depth)
	}
	return dst
}

func appendMember(dst []byte, a slog.Attr, depth int) []byte {
	value := resolve(a.Value)
	if value.Kind() != slog.KindGroup {
		if a.Equal(slog.Attr{}) {
			return dst
		}
		dst = appendQuoted(append(dst, ','), a.Key)
		return appendValue(append(dst, ':'), value)
	}
	if a.Key == "" {
		return appendMembers(dst, value.Group(), depth)
	}
	if depth+1 >= jsontext.MaxDepth {
		return dst
	}
	members := appendMembers(nil, value.Group(), depth+1)
	if len(members) == 0 {
		return dst
	}
	dst = appendQuoted(append(dst, ','), a.Key)
	dst = append(append(dst, ":{"...), members[1:]...)
	return append(dst, '}')
}

// cutMembers writes as many attributes as fit into room bytes, and then the mark
// that some are missing.
func cutMembers(attrs []slog.Attr, room int) []byte {
	var members []byte
	for _, a := range attrs {
		member := appendMember(nil, a, 0)
		if len(members)+len(member) > room {
			members = append(members, cutMember(a.Key, member, room-len(members))...)
			break
		}
		members = append(members, member...)
	}
	return append(members, leftOut...)
}

// cutMember returns the beginning of a member's value as text, so that the
// member has room bytes at most, nil if that is too little.
func cutMember(key string, member []byte, room int) []byte {
	name := append(appendQuoted([]byte{','}, key), ':')
	value, ok := bytes.CutPrefix(member, name)
	if !ok || room < len(name)+leastCut {
		return nil
	}
	text := string(value)
	if value[0] == '"' {
		_ = json.Unmarshal(value, &text) // it was made here
	}
	for limit := room - len(name) - len(`""`); limit > len(cutMark); limit /= 2 { // escapes make it longer
		if cut := appendQuoted(name, clip(text, limit)); len(cut) <= room {
			return cut
		}
	}
	return nil
}

// resolve asks a value for what it stands for. One that panics stands for that.
func resolve(v slog.Value) slog.Value {
	if v.Kind() != slog.KindLogValuer {
		return v
	}
	return v.Resolve()
}

func appendValue(dst []byte, v slog.Value) []byte {
	switch v.Kind() {
	case slog.KindInt64:
		return strconv.AppendInt(dst, v.Int64(), 10)
	case slog.KindUint64:
		return strconv.AppendUint(dst, v.Uint64(), 10)
	case slog.KindBool:
		return strconv.AppendBool(dst, v.Bool())
	case slog.KindFloat64:
		if f := v.Float64(); !math.IsNaN(f) && !math.IsInf(f, 0) {
			return strconv.AppendFloat(dst, f, 'g', -1, 64)
		}
	case slog.KindTime:
		return appendQuoted(dst, v.Time().Format(time.RFC3339Nano))
	case slog.KindAny:
		return appendAny(dst, v.Any())
	}
	return appendQuoted(dst, v.String())
}

// appendAny writes an error as its text and anything else as its JSON, or that
// as text if a server would refuse it.
func appendAny(dst []byte, v any) []byte {
	_, own := v.(json.Marshaler)
	if err, ok := v.(error); ok && !own {
		return appendQuoted(dst, fmt.Sprint(err))
	}
	text, err := marshal(v)
	if err != nil {
		return appendQuoted(dst, "!ERROR: "+err.Error())
	}
	text = bytes.ReplaceAll(text, []byte(`\u0000`), []byte(`\ufffd`)) // NUL, as in appendQuoted
	if jsontext.Check(text, len(text)) != nil {
		return appendQuoted(dst, string(text))
	}
	return append(dst, text...)
}

// marshal is plainJSON for values whose methods may panic.
func marshal(v any) (text []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("write an attribute: panic: %v", p)
		}
	}()
	return plainJSON(v)
}
