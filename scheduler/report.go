package scheduler

import (
	"context"

	"github.com/firjob/firjob"
)

// Report stores lines of log and progress. A report that is brought again does
// no harm, so an error in its second half is an error of all of it.
func (s *Scheduler) Report(ctx context.Context, report firjob.Report) (reply firjob.ReportReply, err error) {
	if reply.Cut, err = s.store.AppendLogs(ctx, report.App, report.Logs, s.options.LogLimit); err != nil {
		return firjob.ReportReply{}, err
	}
	return reply, s.store.SetProgress(ctx, report.App, report.Progress)
}
