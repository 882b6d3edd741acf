package app

import (
	"context"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/storage"
)

// noDatabase is what is wrong where a database must be named.
const noDatabase = "FIRJOB_DATABASE_URL is not set; it names the Postgres database, as in postgres://user@host/firjob"

// Migrate brings the schema of the database up to date. It is safe to run
// several times and at once. It is CodeInvalid if no database is named.
func Migrate(ctx context.Context, databaseURL string) error {
	if databaseURL == "" {
		return firjob.Errorf(firjob.CodeInvalid, noDatabase)
	}
	return storage.Migrate(ctx, databaseURL)
}

// Migration is one step of the schema.
type Migration struct {
	Version   int64      `json:"version"`
	Name      string     `json:"name"`       // of its file
	AppliedAt *time.Time `json:"applied_at"` // nil: not yet
}

// MigrationStatus returns every migration of this program, the oldest first. It
// is CodeInvalid if no database is named.
func MigrationStatus(ctx context.Context, databaseURL string) ([]Migration, error) {
	if databaseURL == "" {
		return nil, firjob.Errorf(firjob.CodeInvalid, noDatabase)
	}
	stored, err := storage.MigrationStatus(ctx, databaseURL)
	list := make([]Migration, len(stored))
	for i, m := range stored {
		list[i] = Migration{Version: m.Version, Name: m.Name}
		if !m.AppliedAt.IsZero() {
			at := m.AppliedAt.UTC().Truncate(time.Millisecond)
			list[i].AppliedAt = &at
		}
	}
	return list, err
}
