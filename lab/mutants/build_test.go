package mutants

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEachMutantFindsItsPlace(t *testing.T) {
	t.Parallel()
	files, err := edited("../..")
	if err != nil {
		t.Fatal(err)
	}
	if err := addFiles(files); err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, text := range files {
		all.WriteString(text)
	}
	for _, m := range All() {
		if !strings.Contains(all.String(), `"`+string(m)+`"`) {
			t.Errorf("no file asks for the mutant %s", m)
		}
	}
}

func TestAnEditWithoutItsPlaceIsAnError(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, list := range edits() {
		for _, e := range list {
			path := filepath.Join(root, filepath.FromSlash(e.file))
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte("package changed"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	_, err := edited(root)
	for _, m := range []Mutant{FireForgotten, NotHeld, SpoolSkipped} {
		if err == nil || !strings.Contains(err.Error(), string(m)) {
			t.Errorf("got %v, want an error that names %s", err, m)
		}
	}
}

// A change of the product that an edit no longer fits fails here, and not only where
// the mutants run.
func TestTheMutantsBuild(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds a program")
	}
	if err := Build(t.Context(), "../..", filepath.Join(t.TempDir(), "firjob-lab")); err != nil {
		t.Error(err)
	}
}
