package codec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/firjob/firjob"
)

// The messages as they stand in CBOR: maps whose keys are small numbers. Fields are
// added under new numbers, none is given another meaning; a reader passes over the
// numbers that it does not know, and what is zero or empty is left out. Instants
// are microseconds since 1970, durations nanoseconds, ids their 16 bytes; params, inputs
// and results are JSON text in byte strings. A list of answers is a byte string, too,
// with one byte for each: its place in the list of words below, from 1.

type triggerBatch struct {
	App      string    `cbor:"1,keyasint"`
	SentAt   micros    `cbor:"2,keyasint,omitempty"`
	Triggers []trigger `cbor:"3,keyasint"`
}

type trigger struct {
	ID          id       `cbor:"1,keyasint"`
	JobID       uint32   `cbor:"2,keyasint"`
	Job         string   `cbor:"3,keyasint"`
	Handler     string   `cbor:"4,keyasint"`
	Kind        uint8    `cbor:"5,keyasint,omitempty"`
	Params      []byte   `cbor:"6,keyasint,omitempty"`
	ScheduledAt micros   `cbor:"7,keyasint,omitempty"`
	Attempt     int      `cbor:"8,keyasint"`
	Token       int64    `cbor:"9,keyasint"`
	Timeout     int64    `cbor:"10,keyasint,omitempty"`
	Lease       int64    `cbor:"11,keyasint"`
	Exclusive   bool     `cbor:"12,keyasint,omitempty"`
	Shard       *shardOf `cbor:"13,keyasint,omitempty"`
	Inputs      []byte   `cbor:"14,keyasint,omitempty"`
}

type shardOf struct {
	Index int `cbor:"1,keyasint"`
	Total int `cbor:"2,keyasint"`
}

type triggerReply struct {
	Incarnation string `cbor:"1,keyasint"`
	Results     []byte `cbor:"2,keyasint"`
}

type callback struct {
	App         string   `cbor:"1,keyasint"`
	Address     string   `cbor:"2,keyasint"`
	Incarnation string   `cbor:"3,keyasint"`
	Results     []result `cbor:"4,keyasint"`
}

type result struct {
	ID         id     `cbor:"1,keyasint"`
	Token      int64  `cbor:"2,keyasint"`
	Outcome    uint8  `cbor:"3,keyasint"`
	Error      string `cbor:"4,keyasint,omitempty"`
	Result     []byte `cbor:"5,keyasint,omitempty"`
	StartedAt  micros `cbor:"6,keyasint,omitempty"`
	FinishedAt micros `cbor:"7,keyasint,omitempty"`
	Permanent  bool   `cbor:"8,keyasint,omitempty"`
	RetryAfter int64  `cbor:"9,keyasint,omitempty"`
}

type callbackReply struct {
	Results []byte `cbor:"1,keyasint"`
}

// The words, by their numbers less one.
var (
	acceptances = words[firjob.Acceptance]{firjob.Accepted, firjob.RefusedFull, firjob.RefusedStale,
		firjob.RefusedHandler, firjob.RefusedDrain}
	receipts = words[firjob.Receipt]{firjob.ReceiptRecorded, firjob.ReceiptDuplicate, firjob.ReceiptStale,
		firjob.ReceiptUnknown}
	outcomes = words[firjob.Outcome]{firjob.OutcomeSucceeded, firjob.OutcomeFailed, firjob.OutcomeTimedOut,
		firjob.OutcomeCancelled}
)

// maxDepth is how deeply a message may be nested; ours take 4 levels.
const maxDepth = 8

// maxKeys bounds the members of a map, to leave room for fields to come.
const maxKeys = 64

var (
	writer = must(cbor.EncOptions{BinaryMarshaler: cbor.BinaryMarshalerNone}.UserBufferEncMode())
	reader = must(cbor.DecOptions{
		DupMapKey:        cbor.DupMapKeyEnforcedAPF,
		IndefLength:      cbor.IndefLengthForbidden,
		TagsMd:           cbor.TagsForbidden,
		UTF8:             cbor.UTF8RejectInvalid,
		MaxNestedLevels:  maxDepth,
		MaxArrayElements: firjob.MaxBatch,
		MaxMapPairs:      maxKeys,
	}.DecMode())
)

// must returns a mode whose options are constants.
func must[M any](mode M, err error) M {
	if err != nil {
		panic("codec: " + err.Error())
	}
	return mode
}

// The lists of a batch are used again and again. In a pool all of a list is zero.
var (
	triggerLists = sync.Pool{New: func() any { return new([]trigger) }}
	resultLists  = sync.Pool{New: func() any { return new([]result) }}
)

// borrow takes a list of n zero items out of a pool. Whoever gives it back has
// written to none beyond its length.
func borrow[T any](pool *sync.Pool, n int) *[]T {
	list := pool.Get().(*[]T)
	if cap(*list) < n {
		*list = make([]T, n)
	}
	*list = (*list)[:n]
	return list
}

func giveBack[T any](pool *sync.Pool, list *[]T) {
	clear(*list)
	*list = (*list)[:0]
	pool.Put(list)
}

func encodeCBOR[M Message](m *M) ([]byte, error) {
	switch m := any(m).(type) {
	case *firjob.TriggerBatch:
		return encodeTriggers(m)
	case *firjob.TriggerReply:
		codes, err := acceptances.encode(m.Results)
		return marshal(triggerReply{m.Incarnation, codes}, len(codes)+64, err)
	case *firjob.Callback:
		return encodeCallback(m)
	case *firjob.CallbackReply:
		codes, err := receipts.encode(m.Results)
		return marshal(callbackReply{codes}, len(codes)+16, err)
	}
	return nil, errors.ErrUnsupported
}

// marshal writes v, which takes about size bytes, unless there is an error already.
func marshal(v any, size int, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	body := bytes.NewBuffer(make([]byte, 0, size))
	if err := writer.MarshalToBuffer(v, body); err != nil {
		return nil, err
	}
	return body.Bytes(), nil
}

func decodeCBOR[M Message](body []byte, m *M) error {
	switch m := any(m).(type) {
	case *firjob.TriggerBatch:
		return decodeTriggers(body, m)
	case *firjob.TriggerReply:
		var r triggerReply
		err := reader.Unmarshal(body, &r)
		if err == nil {
			m.Incarnation = r.Incarnation
			m.Results, err = acceptances.decode(r.Results)
		}
		return err
	case *firjob.Callback:
		return decodeCallback(body, m)
	case *firjob.CallbackReply:
		var r callbackReply
		err := reader.Unmarshal(body, &r)
		if err == nil {
			m.Results, err = receipts.decode(r.Results)
		}
		return err
	}
	return errors.ErrUnsupported
}

// id is an execution's id, in 16 bytes.
type id firjob.ExecutionID

// UnmarshalBinary reads an id.
func (i *id) UnmarshalBinary(data []byte) error {
	if len(data) != len(i) {
		return fmt.Errorf("an execution id has %d bytes, not %d", len(i), len(data))
	}
	copy(i[:], data)
	return nil
}

// execution refuses what is no id, as in its 36 characters; none at all is left to
// those who need one. A list of numbers gets here, too, past UnmarshalBinary.
func (i id) execution() (firjob.ExecutionID, error) {
	if i != (id{}) && (i[6]>>4 != 8 || i[8]>>6 != 2) {
		return firjob.ExecutionID{}, fmt.Errorf("%x is not an execution id, which is a UUID of version 8", i[:])
	}
	return firjob.ExecutionID(i), nil
}

// micros is an instant in microseconds since 1970; 0 = unknown.
type micros int64

func microsOf(t time.Time) micros {
	if t.IsZero() {
		return 0
	}
	return micros(t.UnixMicro())
}

// The instants that JSON can write: of the years 1 to 9999.
const (
	firstMicro micros = -62135596800e6
	lastMicro  micros = 253402300800e6 - 1
)

func (m micros) time() (time.Time, error) {
	if m == 0 {
		return time.Time{}, nil
	}
	if m < firstMicro || m > lastMicro {
		return time.Time{}, fmt.Errorf("an instant %d µs from 1970 is beyond the years 1 to 9999", int64(m))
	}
	return time.UnixMicro(int64(m)).UTC(), nil
}

// words are those that a text can be, in the order of their numbers from 1. They are
// added to, at the end.
type words[W ~string] []W

func (w words[W]) number(word W) (uint8, error) {
	for i, known := range w {
		if known == word {
			return uint8(i + 1), nil
		}
	}
	return 0, fmt.Errorf("%q has no number", string(word))
}

func (w words[W]) word(number uint8) (W, error) {
	if number == 0 || int(number) > len(w) {
		return "", fmt.Errorf("%d is the number of none of %v", number, []W(w))
	}
	return w[number-1], nil
}

func (w words[W]) encode(list []W) ([]byte, error) {
	numbers := make([]byte, len(list))
	var err error
	for i, word := range list {
		if numbers[i], err = w.number(word); err != nil {
			return nil, err
		}
	}
	return numbers, nil
}

func (w words[W]) decode(numbers []byte) ([]W, error) {
	if len(numbers) > firjob.MaxBatch {
		return nil, fmt.Errorf("%d answers are more than %d", len(numbers), firjob.MaxBatch)
	}
	list := make([]W, len(numbers))
	var err error
	for i, n := range numbers {
		if list[i], err = w.word(n); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// text returns what a peer can read: a text that is not UTF-8 would have it refuse
// the whole batch.
func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// raw returns JSON text as a message has it, nil if there is none.
func raw(data []byte) (json.RawMessage, error) {
	if len(data) == 0 {
		return nil, nil
	}
	if !json.Valid(data) {
		return nil, errors.New("a byte string that should be JSON is none")
	}
	return data, nil
}
