package firjob

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// JobID is the number of a job. Numbers are never used again.
type JobID uint32

// Kind says what asked for an execution. Its number is part of the id.
type Kind uint8

// The kinds, numbered as they stand in an ExecutionID.
const (
	KindSchedule Kind = 0
	KindManual   Kind = 1
	KindBackfill Kind = 2
	KindChild    Kind = 3
)

var kindNames = [...]string{"schedule", "manual", "backfill", "child"}

// String returns the kind's name as the API writes it.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// MarshalText writes the kind's name.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads a kind's name.
func (k *Kind) UnmarshalText(text []byte) error {
	parsed, err := ParseKind(string(text))
	if err == nil {
		*k = parsed
	}
	return err
}

// ParseKind reads a kind's name.
func ParseKind(name string) (Kind, error) {
	for i, known := range kindNames {
		if known == name {
			return Kind(i), nil
		}
	}
	return 0, fmt.Errorf("%q is not a kind of execution; want one of %s", name, commas(kindNames[:]))
}

// ExecutionID is a UUIDv8 that is the identity of a fire: planning the same
// fire twice yields the same id, and the id can be read. Its bytes sort by the
// scheduled time.
//
//	bytes 0–5    scheduled time, epoch milliseconds, big endian
//	bytes 6–7    version nibble 8, 12 bits ordinal (0, or shard i+1 of a broadcast)
//	byte  8      variant 0b10, 6 bits kind
//	bytes 9–11   nonce (0 for a scheduled fire)
//	bytes 12–15  job number, big endian
type ExecutionID uuid.UUID

// Fire returns the id of the scheduled fire of job at the instant at, which is
// cut to the millisecond.
func Fire(job JobID, at time.Time) ExecutionID {
	return NewExecutionID(job, at, KindSchedule, 0)
}

// NewExecutionID returns the id of an execution that somebody asked for. Only
// the low 24 bits of nonce count.
func NewExecutionID(job JobID, at time.Time, kind Kind, nonce uint32) ExecutionID {
	var id ExecutionID
	putMillis(&id, at.UnixMilli())
	id[6] = 0x80
	id[8] = 0x80 | byte(kind)&0x3f
	id[9], id[10], id[11] = byte(nonce>>16), byte(nonce>>8), byte(nonce)
	binary.BigEndian.PutUint32(id[12:], uint32(job))
	return id
}

// putMillis writes epoch milliseconds. An instant that has no place in an id,
// before 1970 or after 10889, becomes the nearest that has.
func putMillis(id *ExecutionID, ms int64) {
	ms = min(max(ms, 0), 1<<48-1)
	for i := range 6 {
		id[i] = byte(ms >> (8 * (5 - i)))
	}
}

// RandomNonce returns 24 random bits for NewExecutionID.
func RandomNonce() uint32 {
	var b [4]byte
	_, _ = rand.Read(b[1:]) // never fails: crypto/rand aborts the program instead
	return binary.BigEndian.Uint32(b[:])
}

// FirstIDAt returns the smallest id, valid or not, that an execution scheduled
// at t can have. Ids below it were scheduled earlier.
func FirstIDAt(t time.Time) ExecutionID {
	var id ExecutionID
	putMillis(&id, t.UnixMilli())
	return id
}

// ParseExecutionID reads the 36-character form and refuses every other, also
// UUIDs of another version.
func ParseExecutionID(s string) (ExecutionID, error) {
	u, err := uuid.Parse(s)
	if err != nil || len(s) != 36 {
		return ExecutionID{}, fmt.Errorf("%q is not an execution id: want 36 characters like %s", s,
			Fire(1, time.UnixMilli(0)))
	}
	if u.Version() != 8 || u.Variant() != uuid.RFC4122 {
		return ExecutionID{}, fmt.Errorf("%q is a UUID but not an execution id, which is of version 8", s)
	}
	return ExecutionID(u), nil
}

// ScheduledAt returns the scheduled instant that the id names, in UTC.
func (id ExecutionID) ScheduledAt() time.Time {
	var ms int64
	for _, b := range id[:6] {
		ms = ms<<8 | int64(b)
	}
	return time.UnixMilli(ms).UTC()
}

// Job returns the job number that the id names.
func (id ExecutionID) Job() JobID { return JobID(binary.BigEndian.Uint32(id[12:])) }

// Kind returns what asked for the execution.
func (id ExecutionID) Kind() Kind { return Kind(id[8] & 0x3f) }

// Nonce returns the 24 bits that tell executions of one kind and instant apart.
func (id ExecutionID) Nonce() uint32 {
	return uint32(id[9])<<16 | uint32(id[10])<<8 | uint32(id[11])
}

// Ordinal returns 0, or shard i + 1 of a broadcast.
func (id ExecutionID) Ordinal() int { return int(id[6]&0x0f)<<8 | int(id[7]) }

// MaxShards is how many shards a broadcast can have: ordinals have 12 bits.
const MaxShards = 1<<12 - 1

// Shard returns the id of shard i, 0 ≤ i < MaxShards, of the broadcast id.
func (id ExecutionID) Shard(i int) ExecutionID {
	id[6], id[7] = 0x80|byte((i+1)>>8), byte(i+1)
	return id
}

// IsZero reports whether id is no id at all.
func (id ExecutionID) IsZero() bool { return id == ExecutionID{} }

// String returns the 36-character form.
func (id ExecutionID) String() string { return uuid.UUID(id).String() }

// AppendText appends the 36-character form.
func (id ExecutionID) AppendText(dst []byte) ([]byte, error) {
	for i, part := range [...][]byte{id[:4], id[4:6], id[6:8], id[8:10], id[10:]} {
		if i > 0 {
			dst = append(dst, '-')
		}
		dst = hex.AppendEncode(dst, part)
	}
	return dst, nil
}

// MarshalText writes the 36-character form.
func (id ExecutionID) MarshalText() ([]byte, error) { return uuid.UUID(id).MarshalText() }

// UnmarshalText reads the 36-character form.
func (id *ExecutionID) UnmarshalText(text []byte) (err error) {
	*id, err = ParseExecutionID(string(text))
	return err
}

// Shard returns the slice of the delay queue, 0 ≤ s < shards, that holds the
// executions of a job. Numbers are mixed first (the 32-bit finaliser of
// MurmurHash3), so that jobs made in a row spread over the shards.
func (j JobID) Shard(shards int) int {
	h := uint32(j)
	h ^= h >> 16
	h *= 0x85ebca6b
	h ^= h >> 13
	h *= 0xc2b2ae35
	h ^= h >> 16
	return int(h % uint32(shards))
}
