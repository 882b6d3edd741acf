package architecture_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// documents returns the text of every Markdown file of the repository, by its
// path from this folder.
func documents(t *testing.T) map[string]string {
	t.Helper()
	found := make(map[string]string)
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && entry.Name() == ".git":
			return fs.SkipDir
		case entry.IsDir() || filepath.Ext(path) != ".md":
			return nil
		}
		text, err := os.ReadFile(path)
		found[path] = string(text)
		return err
	})
	if err != nil {
		t.Fatalf("reading the documents: %v", err)
	}
	return found
}

var (
	codeBlock = regexp.MustCompile("(?ms)^```.*?^```$")
	link      = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading   = regexp.MustCompile(`(?m)^#+ (.+)$`)
	notAnchor = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// prose is a document without its blocks of code.
func prose(text string) string { return codeBlock.ReplaceAllString(text, "") }

// anchors returns what links may name in a document, as GitHub makes it of the
// headings.
func anchors(text string) []string {
	var list []string
	for _, h := range heading.FindAllStringSubmatch(prose(text), -1) {
		plain := notAnchor.ReplaceAllString(strings.ToLower(h[1]), "")
		list = append(list, strings.ReplaceAll(plain, " ", "-"))
	}
	return list
}

func TestLinksOfDocumentsLeadSomewhere(t *testing.T) {
	t.Parallel()
	docs := documents(t)
	links := 0
	for path, text := range docs {
		for _, match := range link.FindAllStringSubmatch(prose(text), -1) {
			target, anchor, _ := strings.Cut(match[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			links++
			file := path
			if target != "" {
				file = filepath.Join(filepath.Dir(path), target)
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s links to %s: %v", path, match[1], err)
			} else if anchor != "" && !slices.Contains(anchors(docs[file]), anchor) {
				t.Errorf("%s links to %s: %s has only the headings %q", path, match[1], file, anchors(docs[file]))
			}
		}
	}
	if links == 0 {
		t.Error("no link was checked: the test shows nothing")
	}
}

var (
	variableTag  = regexp.MustCompile(`env:"(FIRJOB_\w+)"[^\n]*`)
	variableName = regexp.MustCompile(`FIRJOB_[A-Z_]+[A-Z]`)
)

// The page of variables names every one that a command reads, and no other.
func TestEveryVariableIsDocumented(t *testing.T) {
	t.Parallel()
	var read []string
	err := filepath.WalkDir("../../cmd/firjob", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".go" {
			return err
		}
		text, err := os.ReadFile(path)
		for _, tag := range variableTag.FindAllStringSubmatch(string(text), -1) {
			if !strings.Contains(tag[0], "hidden:") {
				read = append(read, tag[1])
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(read) == 0 {
		t.Error("no variable was found: the test shows nothing")
	}
	page := documents(t)["../../docs/configuration.md"]
	documented := variableName.FindAllString(page, -1)
	for _, name := range read {
		if !slices.Contains(documented, name) {
			t.Errorf("docs/configuration.md does not name %s", name)
		}
	}
	for _, name := range documented {
		if !slices.Contains(read, name) {
			t.Errorf("docs/configuration.md names %s, which no command reads", name)
		}
	}
}
