package localstack

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// identity is the user that a server runs as. The zero value is ourselves.
type identity struct {
	name string
	cred *syscall.Credential
}

// unprivileged is ourselves unless we are root, whom Postgres refuses; then it
// is user postgres, else nobody.
func unprivileged() (identity, error) {
	if os.Getuid() != 0 {
		return identity{}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(uidErr, gidErr); err != nil {
			return identity{}, fmt.Errorf("read the ids of user %s: %w", name, err)
		}
		return identity{name: name, cred: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
	}
	return identity{}, errors.New(
		"postgres refuses to run as root, and there is neither a user postgres nor a user nobody to run it as; add " +
			"one with: useradd --system postgres")
}

// own gives path to the identity, which must be able to reach it.
func (id identity) own(path string) error {
	if id.cred == nil {
		return nil
	}
	if err := id.canReach(path); err != nil {
		return err
	}
	if err := os.Chown(path, int(id.cred.Uid), int(id.cred.Gid)); err != nil {
		return fmt.Errorf("give folder to user %s: %w", id.name, err)
	}
	return nil
}

// canReach returns an error that names the first parent folder of path that the
// identity may not enter.
func (id identity) canReach(path string) error {
	if id.cred == nil {
		return nil
	}
	for at := filepath.Dir(path); ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if err != nil {
			return fmt.Errorf("look at the parents of %s: %w", path, err)
		}
		open := info.Mode().Perm()&0o001 != 0
		if owner, ok := info.Sys().(*syscall.Stat_t); !open && ok && owner.Uid != id.cred.Uid {
			return fmt.Errorf("user %s, as whom postgres runs, cannot enter %s (mode %s) to reach %s; "+
				"choose a folder that it can enter, such as one under /tmp or /var/lib",
				id.name, at, info.Mode().Perm(), path)
		}
		if at == filepath.Dir(at) {
			return nil
		}
	}
}

// attributes are those of a child that runs as the identity.
func (id identity) attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: id.cred}
}

// missingPasswdEntry explains why initdb fails for users without a name, as
// containers with an arbitrary uid have. It is empty when ours has one.
func missingPasswdEntry() string {
	uid := strconv.Itoa(os.Getuid())
	if _, err := user.LookupId(uid); err == nil {
		return ""
	}
	return fmt.Sprintf("uid %s has no entry in /etc/passwd, and initdb insists on one; "+
		"add it (echo 'firjob:x:%s:%d::/tmp:/bin/sh' >> /etc/passwd), run as a named user, or set FIRJOB_DATABASE_URL",
		uid, uid, os.Getgid())
}
