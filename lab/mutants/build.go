package mutants

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// overlaid are the files that mutants add to packages of the product: to each of
// them guards.go.txt, and to some a file of the package's name.
//
//go:embed overlaid
var overlaid embed.FS

// Build builds the program of the module at root with all mutants in it, as the file
// out. It fails if an edit does not find its place in the sources.
func Build(ctx context.Context, root, out string) error {
	dir, err := os.MkdirTemp("", "firjob-mutants-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	overlay, err := writeOverlay(root, dir)
	if err != nil {
		return err
	}
	out, err = filepath.Abs(out)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-tags", "chaos", "-overlay", overlay, "-o", out, "./"+program)
	cmd.Dir = root
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the mutants: %w\n%s", err, text)
	}
	return nil
}

// program is what is built: servers and executors of chaos runs.
const program = "cmd/firjob-lab"

// writeOverlay writes the changed and the added files to dir and returns the path of
// the file that tells "go build" about them.
func writeOverlay(root, dir string) (string, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return "", err
	}
	files, err := edited(root)
	if err != nil {
		return "", err
	}
	if err := addFiles(files); err != nil {
		return "", err
	}
	replace := map[string]string{}
	for name, text := range files {
		at := filepath.Join(dir, strings.ReplaceAll(name, "/", "_"))
		if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
			return "", err
		}
		replace[filepath.Join(root, filepath.FromSlash(name))] = at
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, text, 0o600)
}

// edited returns the files that mutants change, by their path below root. The error
// names every edit that has lost its place.
func edited(root string) (map[string]string, error) {
	files := map[string]string{}
	done := map[edit]bool{}
	var lost []error
	for _, m := range All() {
		for _, e := range edits()[m] {
			if done[e] {
				continue
			}
			done[e] = true
			if files[e.file] == "" {
				text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(e.file)))
				if err != nil {
					return nil, err
				}
				files[e.file] = string(text)
			}
			if n := strings.Count(files[e.file], e.old); n != 1 {
				lost = append(lost,
					fmt.Errorf("the mutant %s has lost its place: %s contains %d times %q, want once", m, e.file, n,
						e.old))
				continue
			}
			files[e.file] = strings.Replace(files[e.file], e.old, e.new, 1)
		}
	}
	return files, errors.Join(lost...)
}

// addFiles adds the files of packages of which others are changed.
func addFiles(files map[string]string) error {
	var folders []string
	for name := range files {
		folders = append(folders, path.Dir(name))
	}
	slices.Sort(folders)
	for _, folder := range slices.Compact(folders) {
		guards, err := overlaid.ReadFile("overlaid/guards.go.txt")
		if err != nil {
			return err
		}
		files[folder+"/mutant_guards.go"] = strings.Replace(string(guards), "PACKAGE", path.Base(folder), 1)
		text, err := overlaid.ReadFile("overlaid/" + path.Base(folder) + ".go.txt")
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		files[folder+"/mutants.go"] = string(text)
	}
	return nil
}
