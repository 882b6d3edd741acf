package localstack

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// pack writes an npm archive and gives its path and sum.
func pack(t *testing.T, files map[string]string) (archive, sum string) {
	t.Helper()
	archive = filepath.Join(t.TempDir(), "package.tgz")
	file, err := os.Create(archive)
	if err != nil {
		t.Fatal(err)
	}
	zip := gzip.NewWriter(file)
	entries := tar.NewWriter(zip)
	for name, content := range files {
		header := &tar.Header{Name: name, Mode: 0o644, Size: int64(len(content)), Typeflag: tar.TypeReg}
		if err := entries.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if _, err := entries.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	for _, closer := range []interface{ Close() error }{entries, zip, file} {
		if err := closer.Close(); err != nil {
			t.Fatal(err)
		}
	}
	bytes, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	hash := sha512.Sum512(bytes)
	return archive, base64.StdEncoding.EncodeToString(hash[:])
}

func TestUnpack(t *testing.T) {
	t.Parallel()
	archive, sum := pack(t, map[string]string{
		"package/package.json":          "{}",
		"package/native/bin/postgres":   "program",
		"package/native/lib/libpq.so.5": "library",
		linksFile:                       `[{"source":"native/lib/libpq.so.5","target":"native/lib/libpq.so"}]`,
	})
	dir := t.TempDir()
	if err := unpack(archive, sum, dir); err != nil {
		t.Fatal(err)
	}
	native := filepath.Join(dir, nativeFolder)
	if info, err := os.Stat(filepath.Join(native, "bin", "postgres")); err != nil || info.Mode().Perm()&0o111 == 0 {
		t.Errorf("a binary must be executable: got %v, %v", info, err)
	}
	if got, err := os.ReadFile(filepath.Join(native, "lib", "libpq.so")); err != nil || string(got) != "library" {
		t.Errorf("through the link: got %q, %v; want %q", got, err, "library")
	}
	if _, err := os.Stat(filepath.Join(dir, "package", "package.json")); !os.IsNotExist(err) {
		t.Errorf("a file outside native: got %v, want it left out", err)
	}
}

func TestUnpackRefuses(t *testing.T) {
	t.Parallel()
	outside := map[string]string{"package/native/../../../escaped": "x", linksFile: "[]"}
	linkOutside := map[string]string{linksFile: `[{"source":"native/x","target":"../../escaped"}]`}
	for _, test := range []struct {
		name  string
		files map[string]string
		sum   string // empty = the right one
		want  string
	}{
		{"another sum", map[string]string{linksFile: "[]"}, "c29tZXRoaW5n", "the pinned one is c29tZXRoaW5n"},
		{"a file outside", outside, "", "escapes"},
		{"a link outside", linkOutside, "", "link ../../escaped"},
		{"no list of links", map[string]string{"package/native/bin/postgres": "x"}, "", "list of links"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			archive, sum := pack(t, test.files)
			if test.sum != "" {
				sum = test.sum
			}
			err := unpack(archive, sum, t.TempDir())
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}
