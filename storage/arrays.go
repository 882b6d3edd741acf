package storage

import (
	"bytes"
	"slices"
	"time"

	"github.com/firjob/firjob"
	"github.com/jackc/pgx/v5/pgtype"
)

// uuids makes ids a parameter of type uuid[].
func uuids(ids []firjob.ExecutionID) pgtype.FlatArray[pgtype.UUID] {
	out := make(pgtype.FlatArray[pgtype.UUID], len(ids))
	for i, id := range ids {
		out[i] = pgtype.UUID{Bytes: id, Valid: true}
	}
	return out
}

// numbers makes job numbers a parameter of type integer[].
func numbers(jobs []firjob.JobID) []int32 {
	out := make([]int32, len(jobs))
	for i, id := range jobs {
		out[i] = int32(id)
	}
	return out
}

// bounds returns the smallest and the largest of ids, which is not empty. The
// hot statements name them beside the ids, because Postgres chooses the
// partitions by a range and not by a list.
func bounds(ids []firjob.ExecutionID) (low, high [16]byte) {
	return slices.MinFunc(ids, compareIDs), slices.MaxFunc(ids, compareIDs)
}

// compareIDs orders ids as Postgres does, by their bytes.
func compareIDs(a, b firjob.ExecutionID) int { return bytes.Compare(a[:], b[:]) }

// jobsOf returns the jobs that ids name, each once.
func jobsOf(ids []firjob.ExecutionID) []firjob.JobID {
	jobs := make([]firjob.JobID, len(ids))
	for i, id := range ids {
		jobs[i] = id.Job()
	}
	slices.Sort(jobs)
	return slices.Compact(jobs)
}

// instant makes t a nullable parameter: the zero time is NULL.
func instant(t time.Time) pgtype.Timestamptz {
	return pgtype.Timestamptz{Time: t, Valid: !t.IsZero()}
}

// pointer returns nil for the zero value, which is how NULL is written.
func pointer[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// instants makes list a parameter of type timestamptz[], zero times being NULL.
func instants(list []time.Time) pgtype.FlatArray[pgtype.Timestamptz] {
	out := make(pgtype.FlatArray[pgtype.Timestamptz], len(list))
	for i, t := range list {
		out[i] = instant(t)
	}
	return out
}
