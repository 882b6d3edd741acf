package worker

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/firjob/firjob"
)

const (
	reportTime   = 10 * time.Second // of one request
	reportMargin = 4 << 10          // what a report takes beside its parts, in bytes
)

// part is what a report takes up of one attempt: lines, or its progress.
type part struct {
	said  *stream
	text  []byte // a firjob.LogChunk or a firjob.ProgressEntry as JSON
	lines int    // 0: progress
}

func (p *part) add(line []byte) {
	if p.lines > 0 {
		p.text = append(p.text, ',')
	}
	p.text = append(p.text, line...)
	p.lines++
}

// size is what p takes with a comma on each side and its closing brackets.
func (p *part) size() int { return len(p.text) + len(",]},") }

// postReport returns what posts a report and tells which logs are full.
func (w *Worker) postReport(cl *client) func(context.Context, []*part) ([]firjob.AttemptRef, error) {
	return func(ctx context.Context, report []*part) ([]firjob.AttemptRef, error) {
		ctx, cancel := context.WithTimeout(ctx, reportTime)
		defer cancel()
		body, err := reportBody(w.opt.App, *w.address.Load(), w.incarnation, report)
		if err != nil {
			return nil, err
		}
		var reply firjob.ReportReply
		err = cl.post(ctx, firjob.PathReport, body, &reply, http.StatusOK)
		return reply.Cut, err
	}
}

// reportBody joins parts, which are JSON already.
func reportBody(app, address, incarnation string, report []*part) ([]byte, error) {
	body, err := plainJSON(firjob.Report{App: app, Address: address, Incarnation: incarnation})
	if err != nil {
		return nil, fmt.Errorf("write a report: %w", err)
	}
	body = body[:len(body)-1]
	body = appendParts(append(body, `,"logs":[`...), report, func(p *part) bool { return p.lines > 0 })
	body = appendParts(append(body, `],"progress":[`...), report, func(p *part) bool { return p.lines == 0 })
	return append(body, "]}"...), nil
}

func appendParts(body []byte, report []*part, fits func(*part) bool) []byte {
	first := true
	for _, p := range report {
		if !fits(p) {
			continue
		}
		if !first {
			body = append(body, ',')
		}
		body = append(body, p.text...)
		first = false
	}
	return body
}
