// Package console is what each command needs to speak with people: the process it
// runs in, answers as tables or JSON, flags for instants and zones, questions, secrets.
package console

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/cmd/firjob/internal/instant"
)

// Process is what a command sees of the process it runs in. Commands take it as
// a parameter of their Run, next to a context.Context.
type Process struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Env            func(string) string // "" for a variable that is not set
	Now            func() time.Time
	Zone           *time.Location // of the times that people read and write
	Width          int            // of a line of the terminal that stdout is; 0 = it is none
	Asks           bool           // somebody is there to answer a question
}

// Clock is what people's times are relative to.
func (p *Process) Clock() instant.Clock {
	return instant.Clock{Now: p.Now(), Zone: cmp.Or(p.Zone, time.UTC)}
}

// usageError is an error in the command line.
type usageError struct{ error }

// IsUsage reports whether an error is about the command line or a variable. Faulty
// settings of a server or an executor count, too.
func IsUsage(err error) bool {
	var usage usageError
	return errors.As(err, &usage) || firjob.CodeOf(err) == firjob.CodeInvalid
}

func Usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }
