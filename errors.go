package firjob

import (
	"errors"
	"fmt"
	"strings"
)

// Code is a stable word for a class of error. Codes cross the wire: they are
// added to, never renamed.
type Code string

// The codes.
const (
	CodeInvalid   Code = "invalid"            // a field is faulty; see Error.Fields
	CodeNotFound  Code = "not_found"          // no such thing
	CodeConflict  Code = "conflict"           // the thing exists, or its state forbids this
	CodeKeyReused Code = "idempotency_reused" // the key was used with another request
	CodeStale     Code = "stale_token"        // a newer attempt exists
	// CodePreconditionRequired asks for If-Match: a change has to name the
	// version that it was made for.
	CodePreconditionRequired Code = "precondition_required"
	CodePreconditionFailed   Code = "precondition_failed" // the thing has changed since
	CodeUnauthorized         Code = "unauthorized"        // no or wrong credentials
	CodeForbidden            Code = "forbidden"           // the credentials do not reach this
	CodeTooLarge             Code = "too_large"           // the body exceeds its limit
	CodeUnavailable          Code = "unavailable"         // a store cannot be reached; try again
	CodeInternal             Code = "internal"            // ours; logged, not shown
)

// FieldError is one fault in one field.
type FieldError struct {
	Field   string // dotted path, as in "schedule.expr"
	Message string // a sentence that says what is wrong and what would be right
	Value   any    // the offending value; nil when it is absent or secret
}

// Error is an error that a caller may branch on by its Code. Everything else
// is internal.
type Error struct {
	Code    Code
	Message string
	Fields  []FieldError // for CodeInvalid
	Cause   error
}

// Error returns the message, the faults and the cause.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Message)
	for i, f := range e.Fields {
		sep := "; "
		if i == 0 {
			sep = ": "
		}
		b.WriteString(sep + f.Field + ": " + f.Message)
	}
	if e.Cause != nil {
		b.WriteString(": " + e.Cause.Error())
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Errorf returns an Error with a formatted message.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Invalid returns a CodeInvalid error that lists fields, or nil if there are none.
func Invalid(fields []FieldError) error {
	if len(fields) == 0 {
		return nil
	}
	return &Error{Code: CodeInvalid, Message: "the request has faulty fields", Fields: fields}
}

// CodeOf returns the code of the first Error in err's chain, CodeInternal when
// there is none, and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return CodeInternal
}
