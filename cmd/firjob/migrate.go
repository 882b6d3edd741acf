package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/firjob/firjob/internal/app"
)

// migrateCmd brings the database's schema up to date, or tells how it stands.
type migrateCmd struct {
	Up     migrateUpCmd     `cmd:"" help:"Apply what is missing. Safe to run several times and at once."`
	Status migrateStatusCmd `cmd:"" help:"Show which migrations are applied."`
}

type migrateUpCmd struct{ databaseFlag }

// Run applies what is missing.
func (c *migrateUpCmd) Run(ctx context.Context, p *process) error {
	if err := app.Migrate(ctx, c.DatabaseURL); err != nil {
		return err
	}
	fmt.Fprintln(p.stdout, "the schema is up to date")
	return nil
}

type migrateStatusCmd struct {
	databaseFlag
	outputFlag
}

// Run shows each migration.
func (c *migrateStatusCmd) Run(ctx context.Context, out *output) error {
	migrations, err := app.MigrationStatus(ctx, c.DatabaseURL)
	if err != nil {
		return err
	}
	return showMigrations(out, migrations)
}

func showMigrations(out *output, migrations []app.Migration) error {
	answer, err := json.Marshal(rows[app.Migration]{Items: migrations})
	if err != nil {
		return fmt.Errorf("write the migrations: %w", err)
	}
	return showList(out, answer, "This program has no migrations.", []string{"VERSION", "MIGRATION", out.at("APPLIED")},
		func(out *output, m app.Migration) []string {
			return []string{strconv.FormatInt(m.Version, 10), m.Name, out.when(m.AppliedAt)}
		})
}
