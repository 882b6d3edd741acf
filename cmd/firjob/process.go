package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/cmd/firjob/internal/instant"
)

// process is what a command sees of the process it runs in. Commands take it as
// a parameter of their Run, next to a context.Context.
type process struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	env            func(string) string // "" for a variable that is not set
	now            func() time.Time
	zone           *time.Location // of the times that people read and write
	width          int            // of a line of the terminal that stdout is; 0 = it is none
	asks           bool           // somebody is there to answer a question
}

// clock is what people's times are relative to.
func (p *process) clock() instant.Clock {
	return instant.Clock{Now: p.now(), Zone: cmp.Or(p.zone, time.UTC)}
}

// usageError is an error of whoever typed the command line.
type usageError struct{ error }

// isUsage reports whether an error is about the command line or a variable:
// what a server or an executor says of its settings counts, too.
func isUsage(err error) bool {
	var usage usageError
	return errors.As(err, &usage) || firjob.CodeOf(err) == firjob.CodeInvalid
}

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }
