package scan

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/storage/pg"
)

// CalendarRef names the version of a calendar that a job follows. Versions never
// change, so a job's fires are what they are until its own row changes.
type CalendarRef struct {
	Name    string `json:"name"`
	Version int    `json:"version"`
}

// RefsOf returns what is stored of a job's calendars; nil, which is stored as
// NULL, for none.
func RefsOf(calendars []firjob.Calendar) []CalendarRef {
	var refs []CalendarRef
	for _, c := range calendars {
		refs = append(refs, CalendarRef{c.Name, c.Version})
	}
	return refs
}

// FillCalendars reads the calendars that jobs follow, if any of them follows one.
func FillCalendars(ctx context.Context, q pg.Querier, jobs []JobRow) error {
	var names []string
	var versions []int32
	for _, j := range jobs {
		for _, ref := range j.Follows {
			names, versions = append(names, ref.Name), append(versions, int32(ref.Version))
		}
	}
	if len(names) == 0 {
		return nil
	}
	rows, _ := q.Query(ctx, calendarVersionsSQL, names, versions)
	list, err := pgx.CollectRows(rows, Calendar)
	if err != nil {
		return fmt.Errorf("read calendars: %w", err)
	}
	known := make(map[CalendarRef]firjob.Calendar, len(list))
	for _, c := range list {
		known[CalendarRef{c.Name, c.Version}] = c
	}
	for i := range jobs {
		for _, ref := range jobs[i].Follows {
			jobs[i].Calendars = append(jobs[i].Calendars, known[ref])
		}
	}
	return nil
}

const calendarVersionsSQL = `SELECT v.definition, v.name, v.version, c.created_at, v.created_at
	FROM (SELECT DISTINCT * FROM unnest($1::text[], $2::int[]) AS u(name, version)) AS w
		JOIN calendar_versions AS v USING (name, version) JOIN calendars AS c USING (name)`

func Calendar(row pgx.CollectableRow) (firjob.Calendar, error) { return CalendarAnd(row) }

// CalendarAnd also reads what stands behind the columns of a calendar.
func CalendarAnd(row pgx.CollectableRow, more ...any) (firjob.Calendar, error) {
	var c firjob.Calendar
	var definition []byte
	var name string
	var version int
	if err := row.Scan(append([]any{&definition, &name, &version, &c.CreatedAt, &c.UpdatedAt},
		more...)...); err != nil {
		return c, err
	}
	created, updated := c.CreatedAt, c.UpdatedAt
	err := json.Unmarshal(definition, &c)
	c.Name, c.Version, c.CreatedAt, c.UpdatedAt = name, version, created, updated
	return c, err
}

// NamedCalendars returns the present versions of calendars, in the order of
// names, and keeps them from changing until the transaction ends. CodeInvalid if
// there is no such calendar.
func NamedCalendars(ctx context.Context, tx pgx.Tx, names []string) ([]firjob.Calendar, error) {
	known, err := PresentCalendars(ctx, tx, names)
	if err != nil {
		return nil, err
	}
	return PickCalendars(known, names)
}

// PresentCalendars returns those that there are, by name. They are locked first
// and read by another statement: one that waits for a lock sees the row as it has
// become, but not the version that was added with it.
func PresentCalendars(ctx context.Context, tx pgx.Tx, names []string) (map[string]firjob.Calendar, error) {
	if len(names) == 0 {
		return nil, nil
	}
	if _, err := tx.Exec(ctx, shareCalendarsSQL, names); err != nil {
		return nil, err
	}
	rows, _ := tx.Query(ctx, PresentCalendarsSQL, names)
	return CalendarsByName(rows)
}

const shareCalendarsSQL = `SELECT FROM calendars WHERE name = ANY($1::text[]) ORDER BY name FOR SHARE`

func CalendarsByName(rows pgx.Rows) (map[string]firjob.Calendar, error) {
	list, err := pgx.CollectRows(rows, Calendar)
	if err != nil {
		return nil, err
	}
	known := make(map[string]firjob.Calendar, len(list))
	for _, c := range list {
		known[c.Name] = c
	}
	return known, nil
}

const PresentCalendarsSQL = `SELECT v.definition, c.name, c.version, c.created_at, c.updated_at
	FROM calendars AS c JOIN calendar_versions AS v ON v.name = c.name AND v.version = c.version
	WHERE c.name = ANY($1::text[]) AND c.deleted_at IS NULL
	ORDER BY c.name`

// PickCalendars returns the named ones. CodeInvalid for each that is not known.
func PickCalendars(known map[string]firjob.Calendar, names []string) ([]firjob.Calendar, error) {
	var calendars []firjob.Calendar
	var faults []firjob.FieldError
	for i, name := range names {
		c, ok := known[name]
		if !ok {
			faults = append(faults, firjob.FieldError{Field: fmt.Sprintf("schedule.calendars[%d]", i), Value: name,
				Message: "is not a known calendar: make it first"})
			continue
		}
		calendars = append(calendars, c)
	}
	return calendars, firjob.Invalid(faults)
}
