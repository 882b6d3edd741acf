package localstack

import (
	"context"
	"fmt"
	"os"
)

// CanFollow reports whether these binaries can make a standby, for which they
// must hold pg_basebackup; those that FetchPostgres fetches do not.
func (b PostgresBinaries) CanFollow() bool {
	info, err := os.Stat(b.path("pg_basebackup"))
	return err == nil && !info.IsDir()
}

// Binaries returns the installation that the server runs from.
func (pg *Postgres) Binaries() PostgresBinaries { return pg.opts.Binaries }

// copyCluster copies the data of the server that is followed, with what makes
// this one a standby of it. What was there before is removed: the data of an old
// primary may hold what the new one never saw.
func (pg *Postgres) copyCluster(ctx context.Context) error {
	if !pg.opts.Binaries.CanFollow() {
		return fmt.Errorf("a standby needs pg_basebackup, which %s lacks", pg.opts.Binaries.Dir)
	}
	if err := os.RemoveAll(pg.data()); err != nil {
		return fmt.Errorf("remove the data of before: %w", err)
	}
	args := []string{
		"-h", pg.opts.Follow.socket, "-p", socketPort, "-U", superuser, "-D", pg.data(),
		"--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast", "--no-password",
	}
	if pg.opts.Ephemeral {
		args = append(args, "--no-sync")
	}
	return pg.tool(ctx, "pg_basebackup", args...)
}

// Promote makes a standby a primary and returns when it takes writes. The server
// that it followed must be dead by then: nothing here keeps it from taking more.
// A server that is no standby is an error.
func (pg *Postgres) Promote(ctx context.Context) error {
	pg.mu.Lock()
	defer pg.mu.Unlock()
	return pg.tool(ctx, "pg_ctl", "promote", "-D", pg.data(), "--wait", "--silent")
}
