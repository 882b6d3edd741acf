package pg

import (
	"bytes"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/firjob/firjob"
)

// UUIDs makes ids a parameter of type uuid[].
func UUIDs(ids []firjob.ExecutionID) pgtype.FlatArray[pgtype.UUID] {
	out := make(pgtype.FlatArray[pgtype.UUID], len(ids))
	for i, id := range ids {
		out[i] = pgtype.UUID{Bytes: id, Valid: true}
	}
	return out
}

// Numbers makes job numbers a parameter of type integer[].
func Numbers(jobs []firjob.JobID) []int32 {
	out := make([]int32, len(jobs))
	for i, id := range jobs {
		out[i] = int32(id)
	}
	return out
}

// Bounds returns the smallest and the largest of ids, which is not empty. The
// hot statements name them beside the ids, because Postgres chooses the
// partitions by a range and not by a list.
func Bounds(ids []firjob.ExecutionID) (low, high [16]byte) {
	return slices.MinFunc(ids, CompareIDs), slices.MaxFunc(ids, CompareIDs)
}

// CompareIDs orders ids as Postgres does, by their bytes.
func CompareIDs(a, b firjob.ExecutionID) int { return bytes.Compare(a[:], b[:]) }

// JobsOf returns the jobs that ids name, each once.
func JobsOf(ids []firjob.ExecutionID) []firjob.JobID {
	jobs := make([]firjob.JobID, len(ids))
	for i, id := range ids {
		jobs[i] = id.Job()
	}
	slices.Sort(jobs)
	return slices.Compact(jobs)
}

// Instant makes t a nullable parameter: the zero time is NULL.
func Instant(t time.Time) pgtype.Timestamptz {
	return pgtype.Timestamptz{Time: t, Valid: !t.IsZero()}
}

// Pointer returns nil for the zero value, which is how NULL is written.
func Pointer[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// Instants makes list a parameter of type timestamptz[], zero times being NULL.
func Instants(list []time.Time) pgtype.FlatArray[pgtype.Timestamptz] {
	out := make(pgtype.FlatArray[pgtype.Timestamptz], len(list))
	for i, t := range list {
		out[i] = Instant(t)
	}
	return out
}
