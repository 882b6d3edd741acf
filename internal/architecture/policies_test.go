package architecture_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	testNamed   = regexp.MustCompile("`(Test[A-Z]\\w*)`")
	testWritten = regexp.MustCompile(`(?m)^func (Test[A-Z]\w*)\(`)
)

// The page of policies names tests as proof. Each of them must be there.
func TestPoliciesAreProvedByTestsThatExist(t *testing.T) {
	t.Parallel()
	written := map[string]bool{}
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, match := range testWritten.FindAllStringSubmatch(string(text), -1) {
			written[match[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := testNamed.FindAllStringSubmatch(documents(t)["../../docs/policies.md"], -1)
	for _, match := range named {
		if !written[match[1]] {
			t.Errorf("docs/policies.md names %s, which is no test", match[1])
		}
	}
	if len(named) < 50 {
		t.Errorf("%d tests are named, want every policy's", len(named))
	}
}
