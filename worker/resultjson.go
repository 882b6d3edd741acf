package worker

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/firjob/firjob"
)

// resultRoom is what a result takes without its error and its own JSON, in
// bytes; a little more does no harm.
const resultRoom = 224

// encodeResult writes r as encoding/json does, but for the escapes that it
// makes for HTML, and returns where in the line r.Result is. It does so by hand because reflection here was more than a
// tenth of what a short task costs a worker. r.Result must be what json.Marshal has returned.
func encodeResult(r firjob.Result) (line []byte, own json.RawMessage, err error) {
	line = make([]byte, 0, resultRoom+len(r.Error)+len(r.Result))
	line = append(line, `{"id":"`...)
	line, _ = r.ID.AppendText(line) // never fails
	line = append(line, `","token":`...)
	line = strconv.AppendInt(line, r.Token, 10)
	line = append(line, `,"outcome":"`...)
	line = append(line, r.Outcome...) // one of our own words
	line = append(line, '"')
	if r.Error != "" {
		text, err := plainJSON(r.Error)
		if err != nil {
			return nil, nil, fmt.Errorf("write an error's text: %w", err)
		}
		line = append(append(line, `,"error":`...), text...)
	}
	var from, to int
	if len(r.Result) > 0 {
		line = append(line, `,"result":`...)
		from, to = len(line), len(line)+len(r.Result)
		line = append(line, r.Result...)
	}
	line = append(line, `,"started_at":"`...)
	line, err = r.StartedAt.AppendText(line)
	if err != nil {
		return nil, nil, fmt.Errorf("write when a handler started: %w", err)
	}
	line = append(line, `","finished_at":"`...)
	line, err = r.FinishedAt.AppendText(line)
	if err != nil {
		return nil, nil, fmt.Errorf("write when a handler ended: %w", err)
	}
	line = append(line, '"')
	if r.Permanent {
		line = append(line, `,"permanent":true`...)
	}
	if r.RetryAfter != 0 {
		line = append(append(append(line, `,"retry_after":"`...), r.RetryAfter.String()...), '"')
	}
	line = append(line, '}')
	if to > from {
		own = json.RawMessage(line[from:to:to])
	}
	return line, own, nil
}

// plainJSON is json.Marshal that leaves <, > and & alone: escaped they would
// make a text several times its size.
func plainJSON(v any) ([]byte, error) {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(text.Bytes(), []byte("\n")), nil
}
