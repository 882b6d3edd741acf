package localstack

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fakePostgres writes binaries that only tell a version.
func fakePostgres(t *testing.T, versionLine string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"initdb", "postgres"} {
		script := "#!/bin/sh\necho '" + versionLine + "'\n"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestNewestPostgres(t *testing.T) {
	t.Parallel()
	old := fakePostgres(t, "postgres (PostgreSQL) 13.20")
	debian := fakePostgres(t, "postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)")
	beta := fakePostgres(t, "postgres (PostgreSQL) 19beta1")
	other := fakePostgres(t, "something else 99.1")
	for _, test := range []struct {
		name string
		dirs []string
		want PostgresBinaries
	}{
		{"none", nil, PostgresBinaries{}},
		{"too old, foreign, missing", []string{old, other, "/no/such/folder"}, PostgresBinaries{}},
		{"newest by number", []string{debian, beta, old}, PostgresBinaries{beta, "19beta1"}},
		{"Debian", []string{old, debian}, PostgresBinaries{debian, "15.14"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, ok := newestPostgres(t.Context(), test.dirs)
			if got != test.want || ok != (test.want != PostgresBinaries{}) {
				t.Errorf("got %+v, %v; want %+v", got, ok, test.want)
			}
		})
	}
}

func TestFindPostgresPrefersPath(t *testing.T) {
	dir := fakePostgres(t, "postgres (PostgreSQL) 16.1")
	links := t.TempDir()
	if err := os.Symlink(filepath.Join(dir, "initdb"), filepath.Join(links, "initdb")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", links+":"+os.Getenv("PATH"))
	got, err := FindPostgres(t.Context())
	if err != nil || got.Version != "16.1" {
		t.Errorf("got %+v, %v; want the binaries beside the linked initdb", got, err)
	}
}

func TestFindRedis(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	if got, err := FindRedis(); !errors.Is(err, ErrNoRedis) {
		t.Errorf("no server: got %q, %v; want ErrNoRedis", got, err)
	}
	for _, name := range []string{"redis-server", "valkey-server"} { // the latter wins
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o755); err != nil {
			t.Fatal(err)
		}
		if got, err := FindRedis(); got != path || err != nil {
			t.Errorf("got %q, %v; want %q", got, err, path)
		}
	}
}

func TestInstructions(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err  error
		want []string
	}{
		{ErrNoPostgres, []string{"apt-get install -y postgresql", "brew install postgresql@17", "docker run -d -p 127.0.0.1:5432:5432", "postgres:17\n", "export FIRJOB_DATABASE_URL='postgres://"}},
		{ErrNoRedis, []string{"apt-get install -y redis-server", "brew install valkey", "docker run -d -p 127.0.0.1:6379:6379 redis:7\n", "export FIRJOB_REDIS_URL=redis://127.0.0.1:6379"}},
	} {
		for _, line := range test.want {
			if !strings.Contains(test.err.Error(), line) {
				t.Errorf("instruction %q: not in\n%v", line, test.err)
			}
		}
		if withSudo := strings.Contains(test.err.Error(), "sudo "); withSudo != (os.Getuid() != 0) {
			t.Errorf("sudo for user %d: got %v in\n%v", os.Getuid(), withSudo, test.err)
		}
	}
}
