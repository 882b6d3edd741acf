package scheduler

import (
	"testing"
	"time"

	"github.com/firjob/firjob"
)

// Lines of log lie between the sending of their attempt and their receipt.
func TestDateLines(t *testing.T) {
	t.Parallel()
	sent := time.UnixMilli(1_800_000_000_000).UTC()
	received := sent.Add(time.Minute)
	for name, tt := range map[string]struct{ at, want time.Time }{
		"between":            {sent.Add(time.Second), sent.Add(time.Second)},
		"with the claim":     {sent.Add(-claimLead), sent.Add(-claimLead)},
		"before it was sent": {sent.Add(-2 * time.Second), received},
		"in 1970":            {time.UnixMilli(5), received},
		"unknown":            {time.Time{}, received},
		"ahead":              {received.Add(time.Millisecond), received},
		"an hour ahead":      {received.Add(time.Hour), received},
	} {
		chunks := []firjob.LogChunk{{AttemptRef: firjob.AttemptRef{ID: firjob.Fire(1, sent), Token: 1}, Lines: []firjob.LogLine{{At: tt.at}}}}
		if dateLines(chunks, received); !chunks[0].Lines[0].At.Equal(tt.want) {
			t.Errorf("%s: a line of %v is dated %v, want %v", name, tt.at, chunks[0].Lines[0].At, tt.want)
		}
	}
}

// The start of an executor's process is not after its beat.
func TestNotAfter(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1_800_000_000_000)
	for _, tt := range []struct{ at, want time.Time }{
		{now.Add(-time.Hour), now.Add(-time.Hour)}, {now.Add(time.Second), now}, {now.Add(time.Hour), time.Time{}}, {time.Time{}, time.Time{}},
	} {
		if got := notAfter(tt.at, now); !got.Equal(tt.want) {
			t.Errorf("%v: got %v, want %v", tt.at, got, tt.want)
		}
	}
}
