package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/firjob/firjob/storage"
)

var errNoDatabase = errors.New("FIRJOB_DATABASE_URL is not set; it names the Postgres database, as in postgres://user@host/firjob")

// Migrate brings the schema of the database up to date. It is safe to run
// several times and at once.
func Migrate(ctx context.Context, databaseURL string) error {
	if databaseURL == "" {
		return errNoDatabase
	}
	return storage.Migrate(ctx, databaseURL)
}

// MigrationStatus returns a line for each migration.
func MigrationStatus(ctx context.Context, databaseURL string) ([]string, error) {
	if databaseURL == "" {
		return nil, errNoDatabase
	}
	migrations, err := storage.MigrationStatus(ctx, databaseURL)
	lines := make([]string, len(migrations))
	for i, m := range migrations {
		lines[i] = fmt.Sprintf("missing                    %s", m.Name)
		if !m.AppliedAt.IsZero() {
			lines[i] = fmt.Sprintf("applied %s  %s", m.AppliedAt.UTC().Format("2006-01-02 15:04:05"), m.Name)
		}
	}
	return lines, err
}
