package processes

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob/cmd/firjob/internal/console"
	"github.com/firjob/firjob/internal/app"
)

func TestMigrationsAreShown(t *testing.T) {
	t.Parallel()
	applied := time.Date(2026, 11, 20, 6, 0, 0, 0, time.UTC)
	now := applied.Add(48 * time.Hour)
	list := []app.Migration{{Version: 1, Name: "00001_init.sql", AppliedAt: &applied}, {Version: 2, Name: "00002_next.sql"}}
	for _, form := range []string{"table", "json"} {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			var shown bytes.Buffer
			p := &console.Process{Stdout: &shown, Now: func() time.Time { return now }}
			if err := showMigrations((&console.OutputFlag{Output: form}).ProvideOutput(p), list); err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(filepath.Join("testdata", "migrations-"+form+".txt"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), shown.String()); diff != "" {
				t.Errorf("output (-want +got):\n%s", diff)
			}
		})
	}
}
