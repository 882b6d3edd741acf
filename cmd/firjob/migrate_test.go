package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/firjob/firjob/internal/app"
)

func TestMigrationsAreShown(t *testing.T) {
	t.Parallel()
	applied := time.Date(2026, 11, 20, 6, 0, 0, 0, time.UTC)
	list := []app.Migration{{Version: 1, Name: "00001_init.sql", AppliedAt: &applied}, {Version: 2, Name: "00002_next.sql"}}
	for _, form := range []string{"table", "json"} {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			var shown bytes.Buffer
			p := &process{stdout: &shown, now: func() time.Time { return testNow }}
			if err := showMigrations((&outputFlag{Output: form}).ProvideOutput(p), list); err != nil {
				t.Fatal(err)
			}
			golden(t, "migrations-"+form, shown.String())
		})
	}
}
