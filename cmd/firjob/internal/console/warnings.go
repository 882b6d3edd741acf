package console

import (
	"encoding/json"
	"fmt"
)

// warned is what the API warns of in a job.
type warned struct {
	Warnings []string
}

// Warn writes the warnings of an answer for those who read no JSON, or only its
// parts: one job, or each job of a batch. An answer that is not understood is
// somebody else's to refuse.
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
