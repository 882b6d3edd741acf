package records

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/internal/timetable"
	"github.com/firjob/firjob/storage/flow"
	"github.com/firjob/firjob/storage/pg"
	"github.com/firjob/firjob/storage/scan"
)

// CreateCalendar stores a calendar. CodeConflict if the name is taken. One that
// was deleted comes back with the version that follows.
func (db *Records) CreateCalendar(ctx context.Context, c firjob.Calendar) (firjob.Calendar, error) {
	err := db.Write(ctx, "create the calendar", func(ctx context.Context, tx pgx.Tx) error {
		err := tx.QueryRow(ctx, createCalendarSQL, c.Name).Scan(&c.Version, &c.CreatedAt)
		if errors.Is(err, pgx.ErrNoRows) {
			return firjob.Errorf(firjob.CodeConflict, "create the calendar: there is a calendar of that name")
		}
		if err != nil {
			return err
		}
		c.UpdatedAt = c.CreatedAt
		return addVersion(ctx, tx, c)
	})
	return c, err
}

const createCalendarSQL = `INSERT INTO calendars AS c (name, version) VALUES ($1, 1)
	ON CONFLICT (name) DO UPDATE SET version = c.version + 1, created_at = now(), updated_at = now(), deleted_at = NULL
		WHERE c.deleted_at IS NOT NULL
	RETURNING version, created_at`

// addVersion stores what a calendar is from now on.
func addVersion(ctx context.Context, tx pgx.Tx, c firjob.Calendar) error {
	definition, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("write the calendar: %w", err)
	}
	_, err = tx.Exec(ctx, addVersionSQL, c.Name, c.Version, string(definition))
	return err
}

const addVersionSQL = `INSERT INTO calendar_versions (name, version, definition) VALUES ($1, $2, $3::text::json)`

// Calendar returns a calendar and how many jobs name it. CodeNotFound if there is
// none or it was deleted.
func (db *Records) Calendar(ctx context.Context, name string) (ports.CalendarUse, error) {
	rows, _ := db.API.Query(ctx, calendarSQL, name)
	u, err := pgx.CollectExactlyOneRow(rows, scanUse)
	return u, calendarError("read the calendar", name, err)
}

const (
	useColumns = `v.definition, c.name, c.version, c.created_at, c.updated_at, (SELECT count(*) FROM ` + followers +
		`c.name)`
	followers   = `jobs WHERE calendars IS NOT NULL AND deleted_at IS NULL AND ` + namesIt
	namesIt     = `EXISTS (SELECT FROM json_array_elements(calendars) AS f WHERE f->>'name' = `
	calendarSQL = `SELECT ` + useColumns + `)
		FROM calendars AS c JOIN calendar_versions AS v ON v.name = c.name AND v.version = c.version
		WHERE c.name = $1 AND c.deleted_at IS NULL`
)

func scanUse(row pgx.CollectableRow) (u ports.CalendarUse, err error) {
	u.Calendar, err = scan.CalendarAnd(row, &u.Jobs)
	return u, err
}

func calendarError(verb, name string, err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return firjob.Errorf(firjob.CodeNotFound, "there is no calendar %q", name)
	}
	return pg.Classify(verb, err)
}

// Calendars returns the named calendars in the order of the names. CodeInvalid
// for each that does not exist.
func (db *Records) Calendars(ctx context.Context, names []string) ([]firjob.Calendar, error) {
	if len(names) == 0 {
		return nil, nil
	}
	rows, _ := db.API.Query(ctx, scan.PresentCalendarsSQL, names)
	known, err := scan.CalendarsByName(rows)
	if err != nil {
		return nil, pg.Classify("read calendars", err)
	}
	return scan.PickCalendars(known, names)
}

// CalendarList returns a page of calendars by name, and the name after which the
// next page starts ("": this was the last).
func (db *Records) CalendarList(ctx context.Context, f ports.CalendarFilter) (list []ports.CalendarUse, next string,
	err error) {
	rows, _ := db.API.Query(ctx, calendarsSQL, f.After, pg.Pointer(f.Query), f.PageSize+1)
	list, err = pgx.CollectRows(rows, scanUse)
	if len(list) > f.PageSize {
		list = list[:f.PageSize]
		next = list[len(list)-1].Name
	}
	return list, next, pg.Classify("list calendars", err)
}

const calendarsSQL = `SELECT ` + useColumns + `)
	FROM calendars AS c JOIN calendar_versions AS v ON v.name = c.name AND v.version = c.version
	WHERE c.name > $1 AND c.deleted_at IS NULL
		AND ($2::text IS NULL OR strpos(lower(c.name), lower($2)) > 0
		OR strpos(lower(v.definition->>'description'), lower($2)) > 0)
	ORDER BY c.name LIMIT $3`

// CalendarVersions returns a page of what a calendar has been, the latest first,
// and the version before which the next page starts (0: this was the last).
// CodeNotFound as for Calendar.
func (db *Records) CalendarVersions(ctx context.Context, name string, before,
	pageSize int) (list []firjob.Calendar, next int, err error) {
	if _, err := db.Calendar(ctx, name); err != nil {
		return nil, 0, err
	}
	rows, _ := db.API.Query(ctx, listVersionsSQL, name, pg.Pointer(before), pageSize+1)
	list, err = pgx.CollectRows(rows, scan.Calendar)
	if len(list) > pageSize {
		list = list[:pageSize]
		next = list[len(list)-1].Version
	}
	return list, next, pg.Classify("list versions", err)
}

const listVersionsSQL = `SELECT v.definition, v.name, v.version, c.created_at, v.created_at
	FROM calendar_versions AS v JOIN calendars AS c USING (name)
	WHERE v.name = $1 AND ($2::int IS NULL OR v.version < $2) ORDER BY v.version DESC LIMIT $3`

// UpdateCalendar locks the calendar, lets change edit it and stores it as the
// next version. In the same transaction every job that names it follows: it gets
// a version and a next fire of its own (firjob.Job.FireAfterEdit), and its planned
// executions are superseded. An error from change is returned as it is and nothing
// is stored. change may be called again if the transaction is.
func (db *Records) UpdateCalendar(ctx context.Context, name string,
	change func(c *firjob.Calendar) error) (u ports.CalendarUse, followed ports.Followed, err error) {
	var refused error
	err = db.Write(ctx, "change the calendar", func(ctx context.Context, tx pgx.Tx) error {
		old, jobs, err := lockCalendar(ctx, tx, name)
		if err != nil {
			return err
		}
		edited := old
		if refused = change(&edited); refused != nil {
			return refused
		}
		edited.Version++
		if err := tx.QueryRow(ctx, storeCalendarSQL, name, edited.Version).Scan(&edited.UpdatedAt); err != nil {
			return err
		}
		if err := addVersion(ctx, tx, edited); err != nil {
			return err
		}
		u = ports.CalendarUse{Calendar: edited, Jobs: len(jobs)}
		followed, err = followCalendar(ctx, tx, jobs, edited)
		return err
	})
	if refused != nil {
		return ports.CalendarUse{}, ports.Followed{}, refused
	}
	return u, followed, calendarError("change the calendar", name, err)
}

const storeCalendarSQL = `UPDATE calendars SET version = $2, updated_at = now() WHERE name = $1 RETURNING updated_at`

// DeleteCalendar takes the calendar away, unless check finds fault with it.
// CodeNotFound as for Calendar, CodeConflict while jobs name it.
func (db *Records) DeleteCalendar(ctx context.Context, name string, check func(firjob.Calendar) error) error {
	err := db.Write(ctx, "delete the calendar", func(ctx context.Context, tx pgx.Tx) error {
		old, jobs, err := lockCalendar(ctx, tx, name)
		if err != nil {
			return err
		}
		if err := check(old); err != nil {
			return err
		}
		if len(jobs) > 0 {
			return firjob.Errorf(firjob.CodeConflict,
				"calendar %q is in use, by job %d for one (%d in all); take it out of their schedules first", name,
				jobs[0].ID, len(jobs))
		}
		_, err = tx.Exec(ctx, deleteCalendarSQL, name)
		return err
	})
	return calendarError("delete the calendar", name, err)
}

const deleteCalendarSQL = `UPDATE calendars SET deleted_at = now(), updated_at = now() WHERE name = $1`

// lockCalendar locks a calendar and the jobs that name it, and returns them with
// their calendars. Jobs come first, as in an edit of one of them, which reads its
// calendars while it holds the job. One that has come to name the calendar in
// between is found once the calendar is locked, for then no other can.
func lockCalendar(ctx context.Context, tx pgx.Tx, name string) (c firjob.Calendar, jobs []scan.JobRow, err error) {
	if _, err := tx.Exec(ctx, lockFollowersSQL, name); err != nil {
		return c, nil, err
	}
	if _, err := tx.Exec(ctx, lockCalendarSQL, name); err != nil {
		return c, nil, err
	}
	rows, _ := tx.Query(ctx, scan.PresentCalendarsSQL, []string{name})
	known, err := scan.CalendarsByName(rows)
	if err != nil {
		return c, nil, err
	}
	c, ok := known[name]
	if !ok {
		return c, nil, pgx.ErrNoRows
	}
	rows, _ = tx.Query(ctx, followersSQL, name)
	if jobs, err = pgx.CollectRows(rows, scan.Job); err != nil {
		return c, nil, err
	}
	return c, jobs, scan.FillCalendars(ctx, tx, jobs)
}

const (
	lockCalendarSQL  = `SELECT FROM calendars WHERE name = $1 FOR UPDATE`
	lockFollowersSQL = `SELECT FROM ` + followers + `$1) ORDER BY id FOR UPDATE`
	followersSQL     = `SELECT ` + scan.JobColumns + ` FROM ` + followers + `$1) ORDER BY id FOR UPDATE`
)

// followCalendar makes jobs follow the new version of a calendar.
func followCalendar(ctx context.Context, tx pgx.Tx, jobs []scan.JobRow, c firjob.Calendar) (ports.Followed, error) {
	var ids []firjob.JobID
	var next []time.Time
	var refs []string
	why := fmt.Sprintf("calendar %s was changed to version %d", c.Name, c.Version)
	for _, old := range jobs {
		if err := recordOverdue(ctx, tx, old, why); err != nil {
			return ports.Followed{}, err
		}
		edited := old.Job
		edited.Calendars = slices.Clone(old.Calendars)
		for i := range edited.Calendars {
			if edited.Calendars[i].Name == c.Name {
				edited.Calendars[i] = c
			}
		}
		at, err := timetable.FireAfterEdit(edited, old.Job, old.Now.Truncate(time.Millisecond), old.Anchor)
		if err != nil {
			return ports.Followed{}, fmt.Errorf("find the next fire of job %d: %w", old.ID, err)
		}
		follows, err := json.Marshal(scan.RefsOf(edited.Calendars))
		if err != nil {
			return ports.Followed{}, fmt.Errorf("write the calendars of job %d: %w", old.ID, err)
		}
		ids, next, refs = append(ids, old.ID), append(next, at), append(refs, string(follows))
	}
	if len(ids) == 0 {
		return ports.Followed{}, nil
	}
	if _, err := tx.Exec(ctx, followCalendarSQL, pg.Numbers(ids), pg.Instants(next), refs); err != nil {
		return ports.Followed{}, err
	}
	followed, err := supersedeMany(ctx, tx, ids, why)
	followed.Plan = distinct(append(followed.Plan, ids...))
	return followed, err
}

const followCalendarSQL = `UPDATE jobs AS j SET calendars = u.follows::json, next_fire_at = u.next,
	fires_since = j.version + 1,
		version = j.version + 1, updated_at = now()
	FROM unnest($1::int[], $2::timestamptz[], $3::text[]) AS u(id, next, follows) WHERE j.id = u.id`

// supersedeMany does what supersede does, for jobs that change together.
func supersedeMany(ctx context.Context, tx pgx.Tx, jobs []firjob.JobID, reason string) (ports.Followed, error) {
	rows, _ := tx.Query(ctx, lockFreshSQL, pg.Numbers(jobs))
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (flow.Ending, error) {
		e := flow.Ending{State: firjob.StateSuperseded, Reason: reason}
		return e, row.Scan((*[16]byte)(&e.ID))
	})
	if err != nil {
		return ports.Followed{}, err
	}
	return flow.FinishAs(ctx, tx, list)
}

const lockFreshSQL = `SELECT id FROM executions
	WHERE job_id = ANY($1::int[]) AND job_id > 0 AND id >= ` + flow.FirstIDBefore5m + ` AND state = 'planned'
	AND attempt = 0
	AND job_version > 0
	ORDER BY id FOR UPDATE`
