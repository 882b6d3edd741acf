package console

import (
	"encoding/json"
	"fmt"
)

// warned is what the API warns of in a job.
type warned struct {
	Warnings []string
}

// Warn writes the warnings of an answer about one job, or about each job of a batch,
// to standard error. It ignores an answer that it does not understand: the caller
// reads the answer, too.
func (p *Process) Warn(answer []byte) {
	var one struct {
		warned
		Items []struct {
			Index int
			Job   warned
		}
	}
	if json.Unmarshal(answer, &one) != nil {
		return
	}
	p.warnOf("", one.Warnings)
	for _, item := range one.Items {
		p.warnOf(fmt.Sprintf("job %d of the file: ", item.Index+1), item.Job.Warnings)
	}
}

func (p *Process) warnOf(whose string, list []string) {
	for _, text := range list {
		fmt.Fprintf(p.Stderr, "firjob: warning: %s%s\n", whose, OneLine(text))
	}
}
