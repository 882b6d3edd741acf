package processes

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/firjob/firjob/cmd/firjob/internal/console"
	"github.com/firjob/firjob/cmd/firjob/internal/settings"
	"github.com/firjob/firjob/internal/app"
)

// MigrateCmd brings the database's schema up to date, or shows what is applied.
type MigrateCmd struct {
	Up     migrateUpCmd     `cmd:"" help:"Apply the migrations that are missing. Several runs, also at once, do no harm."`
	Status migrateStatusCmd `cmd:"" help:"Show which migrations are applied."`
}

type migrateUpCmd struct{ settings.Database }

// Run applies what is missing.
func (c *migrateUpCmd) Run(ctx context.Context, p *console.Process) error {
	if err := app.Migrate(ctx, c.DatabaseURL); err != nil {
		return err
	}
	fmt.Fprintln(p.Stdout, "the schema is up to date")
	return nil
}

type migrateStatusCmd struct {
	settings.Database
	console.OutputFlag
}

// Run shows each migration.
func (c *migrateStatusCmd) Run(ctx context.Context, out *console.Output) error {
	migrations, err := app.MigrationStatus(ctx, c.DatabaseURL)
	if err != nil {
		return err
	}
	return showMigrations(out, migrations)
}

func showMigrations(out *console.Output, migrations []app.Migration) error {
	answer, err := json.Marshal(console.Rows[app.Migration]{Items: migrations})
	if err != nil {
		return fmt.Errorf("write the migrations: %w", err)
	}
	return console.ShowList(out, answer, "This program has no migrations.", []string{"VERSION", "MIGRATION",
		out.At("APPLIED")},
		func(out *console.Output, m app.Migration) []string {
			return []string{strconv.FormatInt(m.Version, 10), m.Name, out.When(m.AppliedAt)}
		})
}
