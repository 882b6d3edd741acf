package dev

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob/cmd/firjob/internal/client"
)

// An error that stays is told once, then every 30 s with its count; another
// one, or the same after a success, at once.
func TestRepeats(t *testing.T) {
	t.Parallel()
	refused := func(turn int) error {
		return &client.Problem{Title: "Bad", RequestID: fmt.Sprint("r", turn)}
	}
	type turn struct {
		second int
		err    error
	}
	now := time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)
	var r repeats
	var got []string
	turns := []turn{{0, nil}, {1, errors.New("away")}, {2, errors.New("away")}, {30, errors.New("away")}, {31, errors.New("away")},
		{61, errors.New("away")}, {62, refused(1)}, {63, refused(2)}, {93, refused(3)}, {94, nil}, {95, refused(4)}}
	for _, turn := range turns {
		if line := r.met(turn.err, now.Add(time.Duration(turn.second)*time.Second)); line != "" {
			got = append(got, fmt.Sprintf("%d %s", turn.second, line))
		}
	}
	want := []string{"1 away", "31 away (3 more times in 30s)", "61 away (1 more time in 30s)",
		"62 Bad\n  request id: r1", "93 Bad (2 more times in 31s)", "95 Bad\n  request id: r4"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}
