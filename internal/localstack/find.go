package localstack

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
)

// oldestPostgres is the oldest major version whose SQL we use.
const oldestPostgres = 14

// ErrNoPostgres is returned by FindPostgres when this machine has none. Its text
// is the instruction to print; each command in it works as it stands.
var ErrNoPostgres = fmt.Errorf(
	`no PostgreSQL server %d or newer was found on the PATH, in the usual folders or in the cache.
Do one of these, then start again:
  Debian, Ubuntu   %[2]sapt-get update && %[2]sapt-get install -y postgresql
  macOS            brew install postgresql@17
  Docker           docker run -d -p 127.0.0.1:5432:5432 -e POSTGRES_USER=firjob -e POSTGRES_PASSWORD=firjob postgres:17
                   export FIRJOB_DATABASE_URL='postgres://firjob:firjob@127.0.0.1:5432/firjob?sslmode=disable'`,
	oldestPostgres, sudo())

// ErrNoRedis is returned by FindRedis when this machine has none. Its text is
// the instruction to print; each command in it works as it stands.
var ErrNoRedis = fmt.Errorf(`no valkey-server or redis-server was found on the PATH. Do one of these, then start again:
  Debian, Ubuntu   %[1]sapt-get update && %[1]sapt-get install -y redis-server
  macOS            brew install valkey
  Docker           docker run -d -p 127.0.0.1:6379:6379 redis:7
                   export FIRJOB_REDIS_URL=redis://127.0.0.1:6379`, sudo())

// sudo is what a user types before a command that only root may run.
func sudo() string {
	if os.Getuid() == 0 {
		return ""
	}
	return "sudo "
}

// PostgresBinaries is one installation of the Postgres server.
type PostgresBinaries struct {
	Dir     string // holds initdb and postgres
	Version string // as postgres tells it, for example "15.14"
}

// major is 0 for binaries whose version is unknown.
func (b PostgresBinaries) major() int {
	n, _ := strconv.Atoi(regexp.MustCompile(`^\d+`).FindString(b.Version))
	return n
}

func (b PostgresBinaries) path(name string) string { return filepath.Join(b.Dir, name) }

// FindPostgres looks for initdb and postgres, version 14 or newer: those on PATH
// first, then the newest of Debian's and Red Hat's versioned folders, Homebrew
// and Postgres.app, at last a copy that FetchPostgres left in our cache. It
// returns ErrNoPostgres when there are none.
func FindPostgres(ctx context.Context) (PostgresBinaries, error) {
	for _, dirs := range [][]string{onPath(), installed(), cached()} {
		if found, ok := newestPostgres(ctx, dirs); ok {
			return found, nil
		}
	}
	if err := ctx.Err(); err != nil {
		return PostgresBinaries{}, fmt.Errorf("look for postgres: %w", err)
	}
	return PostgresBinaries{}, ErrNoPostgres
}

// onPath is the folder of the initdb on PATH; the other binaries stand beside
// the file, not beside a link to it.
func onPath() []string {
	path, err := exec.LookPath("initdb")
	if err != nil {
		return nil
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return nil
	}
	return []string{filepath.Dir(path)}
}

func installed() []string {
	return matching(
		"/usr/lib/postgresql/*/bin",
		"/usr/pgsql-*/bin",
		"/opt/homebrew/opt/postgresql*/bin",
		"/usr/local/opt/postgresql*/bin",
		"/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
		"/Applications/Postgres.app/Contents/Versions/*/bin",
	)
}

func cached() []string {
	cache, err := cacheDir()
	if err != nil {
		return nil
	}
	return matching(filepath.Join(cache, fetchedPrefix+"*", "bin"))
}

func matching(patterns ...string) []string {
	var found []string
	for _, pattern := range patterns {
		paths, _ := filepath.Glob(pattern) // fails on a malformed pattern only
		found = append(found, paths...)
	}
	return found
}

// newestPostgres picks the newest usable installation among dirs, the first of
// equals.
func newestPostgres(ctx context.Context, dirs []string) (best PostgresBinaries, ok bool) {
	for _, dir := range dirs {
		b, err := inspect(ctx, dir)
		if err == nil && b.major() >= oldestPostgres && b.major() > best.major() {
			best, ok = b, true
		}
	}
	return best, ok
}

var versionText = regexp.MustCompile(`\(PostgreSQL\) (\S+)`)

// inspect asks the binaries in dir for their version.
func inspect(ctx context.Context, dir string) (PostgresBinaries, error) {
	b := PostgresBinaries{Dir: dir}
	if _, err := os.Stat(b.path("initdb")); err != nil {
		return b, fmt.Errorf("inspect postgres: %w", err)
	}
	out, err := exec.CommandContext(ctx, b.path("postgres"), "--version").Output()
	if err != nil {
		return b, fmt.Errorf("ask postgres for its version: %w", err)
	}
	match := versionText.FindSubmatch(out)
	if match == nil {
		return b, fmt.Errorf("%s is not PostgreSQL: %q", b.path("postgres"), out)
	}
	b.Version = string(match[1])
	return b, nil
}

// FindRedis gives the path of valkey-server, else of redis-server, on PATH. It
// returns ErrNoRedis when there is neither.
func FindRedis() (string, error) {
	for _, name := range []string{"valkey-server", "redis-server"} {
		if path, err := exec.LookPath(name); err == nil {
			return filepath.Abs(path)
		}
	}
	return "", ErrNoRedis
}

// HasModule reports whether the installation holds a loadable module, such as
// pg_stat_statements.
func (b PostgresBinaries) HasModule(name string) bool {
	for _, folder := range []string{"../lib", "../lib/postgresql"} {
		for _, suffix := range []string{".so", ".dylib"} {
			if _, err := os.Stat(filepath.Join(b.Dir, folder, name+suffix)); err == nil {
				return true
			}
		}
	}
	return false
}
