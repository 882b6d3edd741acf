package scheduler

import (
	"context"
	"time"

	"github.com/firjob/firjob"
)

// Report stores lines of log and progress. A report that is brought again does
// no harm, so an error in its second half is an error of all of it.
func (s *Scheduler) Report(ctx context.Context, report firjob.Report) (reply firjob.ReportReply, err error) {
	dateLines(report.Logs, s.clock.Now())
	if reply.Cut, err = s.store.AppendLogs(ctx, report.App, report.Logs, s.options.LogLimit); err != nil {
		return firjob.ReportReply{}, err
	}
	return reply, s.store.SetProgress(ctx, report.App, report.Progress)
}

// claimLead is by how much an attempt may be claimed before its scheduled time.
const claimLead = time.Second

// dateLines puts received in place of the times of lines that cannot be true:
// before the attempt was sent, or after the line was received.
func dateLines(chunks []firjob.LogChunk, received time.Time) {
	for _, c := range chunks {
		sent := c.ID.ScheduledAt().Add(-claimLead)
		for i, line := range c.Lines {
			if line.At.Before(sent) || line.At.After(received) {
				c.Lines[i].At = received.UTC()
			}
		}
	}
}
