package pg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/puddle/v2"

	"github.com/firjob/firjob"
)

// Classify gives an error of the driver its code, by what the caller can do
// about it. verb says what was being done, as in "claim executions". Errors
// that carry a code already stay as they are.
func Classify(verb string, err error) error {
	var coded *firjob.Error
	var pg *pgconn.PgError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &coded):
		return err
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%s: %w", verb, err)
	case errors.As(err, &pg):
		return classifyPG(verb, err, pg)
	case unreachable(err):
		return &firjob.Error{Code: firjob.CodeUnavailable, Message: verb + ": the database cannot be reached",
			Cause: err}
	}
	return fmt.Errorf("%s: %w", verb, err)
}

func unreachable(err error) bool {
	var netError net.Error
	var connect *pgconn.ConnectError
	return errors.As(err, &connect) || errors.As(err, &netError) || pgconn.SafeToRetry(err) || pgconn.Timeout(err) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, puddle.ErrClosedPool)
}

// classifyPG goes by SQLSTATE (PostgreSQL manual, appendix A).
func classifyPG(verb string, err error, pg *pgconn.PgError) error {
	switch {
	case pg.Code == "23505": // unique_violation
		return &firjob.Error{Code: firjob.CodeConflict, Message: verb + ": " + ConflictText(pg.ConstraintName),
			Cause: err}
	case pg.Code == "23503" && pg.ConstraintName == "jobs_app_fkey":
		return firjob.Invalid([]firjob.FieldError{{Field: "app", Message: "there is no such app"}})
	case pg.Code == "22021" || pg.Code == "22P05": // a NUL, or bytes that are not UTF-8
		return &firjob.Error{Code: firjob.CodeInvalid, Message: verb + ": texts must be UTF-8 without NUL characters",
			Cause: err}
	case pg.Code[:2] == "22": // data exceptions: no value of ours, so one of the request's
		return &firjob.Error{Code: firjob.CodeInvalid, Message: verb + ": a value cannot be stored", Cause: err}
	case pg.Code == "25006": // a standby, or a primary that was demoted
		return &firjob.Error{Code: firjob.CodeUnavailable, Message: verb + ": the database is read-only", Cause: err}
	case pg.Code == "55P03" || pg.Code[:2] == "40" || pg.Code == "57014":
		return &firjob.Error{Code: firjob.CodeUnavailable, Message: verb + ": the database is too busy", Cause: err}
	case pg.Code[:2] == "08" || pg.Code[:2] == "53" || pg.Code[:2] == "57":
		return &firjob.Error{Code: firjob.CodeUnavailable, Message: verb + ": the database does not serve", Cause: err}
	}
	return fmt.Errorf("%s: %w", verb, err)
}

func ConflictText(constraint string) string {
	switch constraint {
	case "jobs_name":
		return "the app has a job of that name"
	case "apps_pkey":
		return "there is an app of that name"
	}
	return "it exists already"
}

// UndefinedTable reports that a statement named a table that does not exist.
func UndefinedTable(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "42P01"
}

// ErrFamilyBusy ends a transaction that holds a job and would have to wait for
// another change of parents, which may want that very job.
var ErrFamilyBusy = errors.New("another change of parents is under way")
