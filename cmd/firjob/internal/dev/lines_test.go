package dev

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob"
)

// What a deleted job leaves behind is one line with a count; everything else that
// ended has its own.
func TestDemoLinesCountSupersededFires(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)
	ended := func(job string, state firjob.State, reason string, attempt int) firjob.Execution {
		return firjob.Execution{Job: job, State: state, Reason: reason, Attempt: attempt, ScheduledAt: now}
	}
	const deleted = "the job was deleted"
	const due = "14:00:00.000" // in the zone that is asked for
	got := describeAll([]firjob.Execution{
		ended("beat", firjob.StateSucceeded, "", 1),
		ended("beat", firjob.StateSuperseded, deleted, 0),
		ended("other", firjob.StateSuperseded, deleted, 0),
		ended("beat", firjob.StateSuperseded, deleted, 0),
		ended("beat", firjob.StateSuperseded, deleted, 2),
		ended("beat", firjob.StateSuperseded, deleted, 0),
		ended("beat", firjob.StateSucceeded, "", 1),
	}, time.FixedZone("", 8*3600))
	want := []string{
		"beat                     succeeded  due " + due,
		"beat                     superseded 3 fires  (the job was deleted)",
		"other                    superseded due " + due + "  (the job was deleted)",
		"beat                     superseded due " + due + "  attempt 2  (the job was deleted)",
		"beat                     succeeded  due " + due,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}
