package scheduler

import (
	"bytes"
	"encoding/json"
	"hash/fnv"
	"strconv"
	"strings"
)

// hashed takes the executor with the highest weight for the flight's key
// (rendezvous hashing: Thaler and Ravishankar, "Using name-based mappings to
// increase hit rates", 1998). Nothing is remembered, so that all servers agree;
// an executor that goes moves only its own keys, and one that comes takes its
// share of everybody's.
func hashed(_ *executors, f *flight, able []*executor) *executor {
	key := f.hash()
	best, most := able[0], weight(key, able[0].hash)
	for _, e := range able[1:] {
		if w := weight(key, e.hash); w > most {
			best, most = e, w
		}
	}
	return best
}

// hash returns the hash of what the flight is routed by: the value of the job's
// RouteKey in the params, or the job if there is none.
func (f *flight) hash() uint64 {
	if !f.known.hasHash {
		key := strconv.FormatUint(uint64(f.Trigger.JobID), 10)
		if f.Dispatch != nil && f.Dispatch.RouteKey != "" {
			if value, ok := valueAt(f.Trigger.Params, f.Dispatch.RouteKey); ok {
				key = value
			}
		}
		f.known.hash, f.known.hasHash = hashOf(key), true
	}
	return f.known.hash
}

// hashOf is FNV-1a, which is the same in every process and of every version.
func hashOf(text string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(text))
	return h.Sum64()
}

// weight mixes two hashes (the finalizer of SplitMix64: Steele, Lea and Flood,
// "Fast splittable pseudorandom number generators", 2014).
func weight(key, address uint64) uint64 {
	z := key + address*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// valueAt returns a field of an object as canonical JSON: without spaces, the
// names of objects sorted, texts and numbers written in one way.
func valueAt(params json.RawMessage, field string) (string, bool) {
	var object map[string]json.RawMessage
	if json.Unmarshal(params, &object) != nil {
		return "", false
	}
	raw, ok := object[field]
	if !ok {
		return "", false
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var value any
	if decoder.Decode(&value) != nil {
		return "", false
	}
	text, err := json.Marshal(canonical(value))
	return string(text), err == nil
}

// canonical writes the numbers in a value in one way: 1.0 and 10e-1 are 1. Whole
// numbers keep all their digits.
func canonical(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for name := range v {
			v[name] = canonical(v[name])
		}
	case []any:
		for i := range v {
			v[i] = canonical(v[i])
		}
	case json.Number:
		if f, err := v.Float64(); err == nil && (f == 0 || strings.ContainsAny(v.String(), ".eE")) {
			return f + 0 // no negative zero
		}
	}
	return value
}
