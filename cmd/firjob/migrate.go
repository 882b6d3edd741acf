package main

import (
	"context"
	"fmt"

	"github.com/firjob/firjob/internal/app"
)

// migrateCmd brings the database's schema up to date, or tells how it stands.
type migrateCmd struct {
	Up     migrateUpCmd     `cmd:"" help:"Apply what is missing. Safe to run several times and at once."`
	Status migrateStatusCmd `cmd:"" help:"Show which migrations are applied."`
}

type migrateUpCmd struct{ storeFlags }

// Run applies what is missing.
func (c *migrateUpCmd) Run(ctx context.Context, p *process) error {
	if err := app.Migrate(ctx, c.DatabaseURL); err != nil {
		return err
	}
	fmt.Fprintln(p.stdout, "the schema is up to date")
	return nil
}

type migrateStatusCmd struct{ storeFlags }

// Run shows each migration.
func (c *migrateStatusCmd) Run(ctx context.Context, p *process) error {
	lines, err := app.MigrationStatus(ctx, c.DatabaseURL)
	if err != nil {
		return err
	}
	for _, line := range lines {
		fmt.Fprintln(p.stdout, line)
	}
	return nil
}
