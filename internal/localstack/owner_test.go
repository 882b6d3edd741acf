package localstack

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// TestServersEndWithTheirOwner kills an owner and then takes over its folder,
// while the orphaned Postgres may still be shutting down.
func TestServersEndWithTheirOwner(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(openFolder(t), "pg")
	owner := exec.Command(os.Args[0])
	owner.Env = append(os.Environ(), "LOCALSTACK_OWNER="+dir)
	stdout, err := owner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	var postgres, redis int
	var scratch string
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if _, scanErr := fmt.Sscanf(line, "pids %d %d %s", &postgres, &redis, &scratch); scanErr != nil {
		t.Fatalf("the owner said %q, %v", line, err)
	}
	if err := owner.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = owner.Wait() // killed

	wantQuery(t, startPostgres(t, PostgresOptions{Dir: dir}), "SELECT 'mine'", "mine")
	eventually(t, "the orphaned postgres is gone", func() bool { return !runs(postgres) })
	if runtime.GOOS == "linux" {
		eventually(t, "the orphaned redis is gone", func() bool { return !runs(redis) })
	}
	startRedis(t, RedisOptions{Ephemeral: true})
	if _, err := os.Stat(scratch); !os.IsNotExist(err) {
		t.Errorf("the dead owner's scratch folder %s: got %v, want it removed by the next start", scratch, err)
	}
}

// runs is false for a process that ended but that nobody has reaped.
func runs(pid int) bool {
	if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil {
		_, state, _ := strings.Cut(string(text), ") ")
		return !strings.HasPrefix(state, "Z")
	}
	return runtime.GOOS != "linux" && syscall.Kill(pid, 0) == nil
}

func TestUserWithoutPasswdEntry(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root can become another user")
	}
	dir := openFolder(t)
	binary := filepath.Join(dir, "owner")
	copyFile(t, os.Args[0], binary)
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	owner := exec.Command(binary)
	owner.Dir = dir
	owner.Env = append(os.Environ(), "LOCALSTACK_OWNER="+filepath.Join(dir, "pg"))
	owner.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 54321, Gid: 54321}}
	out, err := owner.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "uid 54321 has no entry in /etc/passwd") {
		t.Errorf("got %q, %v; want an error that names the uid", out, err)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestIdentityNamesTheClosedFolder(t *testing.T) {
	t.Parallel()
	dir := openFolder(t)
	closed := filepath.Join(dir, "closed")
	if err := os.MkdirAll(filepath.Join(closed, "inner"), 0o700); err != nil {
		t.Fatal(err)
	}
	stranger := identity{name: "stranger", cred: &syscall.Credential{Uid: 54321}}
	if err := stranger.canReach(closed); err != nil {
		t.Errorf("a folder with open parents: got %v, want no error", err)
	}
	err := stranger.canReach(filepath.Join(closed, "inner"))
	if err == nil || !strings.Contains(err.Error(), "cannot enter "+closed) {
		t.Errorf("got %v, want an error that names %s", err, closed)
	}
	if err := (identity{}).canReach(filepath.Join(closed, "inner")); err != nil {
		t.Errorf("ourselves: got %v, want no error", err)
	}
}
