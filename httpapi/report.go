package httpapi

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/jsontext"
)

// report stores what running handlers say of themselves. One fault refuses the
// whole: an executor that makes one is to be mended, and a log with silent gaps
// would hide it.
func (s *server) report(w http.ResponseWriter, r *http.Request) error {
	message, err := readWire[firjob.Report](w, r, firjob.MaxReportBody)
	if err != nil {
		return err
	}
	if err := ownApp(r.Context(), message.App); err != nil {
		return err
	}
	if err := firjob.Invalid(faultsOfReport(message)); err != nil {
		return err
	}
	reply, err := s.Scheduler.Report(r.Context(), message)
	if err != nil {
		return fmt.Errorf("take the report of %s: %w", message.Address, err)
	}
	writeJSON(w, jsonType, http.StatusOK, reply)
	return nil
}

func faultsOfReport(m firjob.Report) []firjob.FieldError {
	f := &faults{list: faultsOfSender(m.Address, m.Incarnation)}
	if len(m.Logs) > firjob.MaxBatch {
		f.add("logs", nil, fmt.Sprintf("has %d items, more than %d", len(m.Logs), firjob.MaxBatch))
	}
	if len(m.Progress) > firjob.MaxBatch {
		f.add("progress", nil, fmt.Sprintf("has %d items, more than %d", len(m.Progress), firjob.MaxBatch))
	}
	if len(f.list) > 0 {
		return f.list
	}
	for i, c := range m.Logs {
		f.items("logs", i, faultsOfChunk(c))
	}
	for i, p := range m.Progress {
		f.items("progress", i, faultsOfProgress(p))
	}
	return f.list
}

// maxLineNumber keeps line numbers where their sums and differences are numbers,
// too.
const maxLineNumber = 1 << 40

func faultsOfChunk(c firjob.LogChunk) []firjob.FieldError {
	f := &faults{list: faultsOfAttempt(c.AttemptRef)}
	if c.First < 1 || c.First > maxLineNumber {
		f.add("first", c.First, "must be the number of a line, counted from 1")
	}
	if len(c.Lines) == 0 {
		f.add("lines", nil, "is missing")
	}
	for i, line := range c.Lines {
		f.items("lines", i, faultsOfLine(line))
	}
	return f.list
}

func faultsOfLine(line firjob.LogLine) []firjob.FieldError {
	f := &faults{}
	if new(slog.Level).UnmarshalText([]byte(line.Level)) != nil {
		f.add("level", line.Level, "must be DEBUG, INFO, WARN or ERROR, or a form in between such as INFO+2")
	}
	if size := len(line.Text) + jsontext.Size(line.Attrs, firjob.MaxLogLine-len(line.Text)); size > firjob.MaxLogLine {
		f.add("text", nil, fmt.Sprintf("has, with its attributes, %d bytes, more than %d", size, firjob.MaxLogLine))
	}
	if err := jsontext.Check(line.Attrs, firjob.MaxLogLine); err != nil {
		f.add("attrs", nil, err.Error())
	} else if len(line.Attrs) > 0 && !hasType(json.RawMessage(line.Attrs), huma.TypeObject) {
		f.add("attrs", nil, "must be an object")
	}
	return f.list
}

func faultsOfProgress(p firjob.ProgressEntry) []firjob.FieldError {
	f := &faults{list: faultsOfAttempt(p.AttemptRef)}
	f.within("percent", p.Percent, 0, 100)
	if len(p.Note) > firjob.MaxNote {
		f.add("note", nil, fmt.Sprintf("has %d bytes, more than %d", len(p.Note), firjob.MaxNote))
	}
	return f.list
}
