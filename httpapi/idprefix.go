package httpapi

import (
	"bytes"
	"encoding/hex"
	"strings"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// filterPrefix adds the range of ids that begin with prefix: ids sort as their
// text does, so that one range of the primary key holds them all.
func filterPrefix(filter *ports.ExecutionFilter, prefix string) error {
	if prefix == "" {
		return nil
	}
	low, next, ok := idsWith(prefix)
	if !ok {
		return faulty("query.id_prefix", prefix,
			"must be the beginning of an execution's id: up to 32 hexadecimal digits")
	}
	filter.From = low
	if !next.IsZero() && (filter.Before.IsZero() || bytes.Compare(next[:], filter.Before[:]) < 0) {
		filter.Before = next
	}
	return nil
}

// idsWith returns the lowest id that begins with prefix and the first one above
// all of these, zero if there is none.
func idsWith(prefix string) (low, next firjob.ExecutionID, ok bool) {
	digits := strings.ReplaceAll(prefix, "-", "")
	if digits == "" || len(digits) > 2*len(low) {
		return low, next, false
	}
	padded := digits + strings.Repeat("0", 2*len(low)-len(digits))
	if _, err := hex.Decode(low[:], []byte(padded)); err != nil {
		return low, next, false
	}
	step := byte(1)
	if len(digits)%2 == 1 {
		step = 1 << 4
	}
	next = low
	for i := (len(digits) - 1) / 2; i >= 0; i-- {
		if next[i] += step; next[i] >= step {
			return low, next, true
		}
		step = 1
	}
	return low, firjob.ExecutionID{}, true
}
