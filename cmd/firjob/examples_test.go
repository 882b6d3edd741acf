package main

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/firjob/firjob/cmd/firjob/internal/console"
)

// Each example, of docs/cli.md and of the help texts, is a command line that
// the program takes.
func TestExamples(t *testing.T) {
	t.Parallel()
	reference, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	texts := [][]byte{reference}
	parser, err := newParser(new(console.Process), new(commandLine))
	if err != nil {
		t.Fatal(err)
	}
	for _, leaf := range parser.Model.Leaves(true) {
		texts = append(texts, []byte(leaf.Detail))
	}
	count := 0
	for lines := bufio.NewScanner(bytes.NewReader(bytes.Join(texts, []byte("\n")))); lines.Scan(); {
		if args := exampleArgs(lines.Text()); args != nil {
			count++
			tryExample(t, lines.Text(), args)
		}
	}
	if count < 50 {
		t.Errorf("found %d examples, want 50 or more", count)
	}
}

// Each command that a page or a message names is there.
func TestNamedCommands(t *testing.T) {
	t.Parallel()
	parser, err := newParser(new(console.Process), new(commandLine))
	if err != nil {
		t.Fatal(err)
	}
	named, count := regexp.MustCompile("(?:`|\\\\\")firjob ([a-z][a-z -]*)"), 0
	for _, pattern := range []string{"../../*.md", "../../docs/*.md", "../../docs/decisions/*.md", "*.go", "internal/*/*.go", "../../internal/app/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, command := range named.FindAllSubmatch(text, -1) {
				count++
				if words := strings.Fields(string(command[1])); !selects(parser.Model.Node, words) {
					t.Errorf("%s names the command %q, which there is not", file, words)
				}
			}
		}
	}
	if count < 40 {
		t.Errorf("found %d commands, want 40 or more", count)
	}
}

// selects reports whether words, up to the first flag, name a command below a node.
func selects(node *kong.Node, words []string) bool {
	if len(words) == 0 || len(node.Children) == 0 || strings.HasPrefix(words[0], "-") {
		return true
	}
	i := slices.IndexFunc(node.Children, func(child *kong.Node) bool { return child.Name == words[0] })
	return i >= 0 && selects(node.Children[i], words[1:])
}

func tryExample(t *testing.T, line string, args []string) {
	t.Helper()
	p := &console.Process{Env: func(string) string { return "" }, Now: time.Now, Zone: time.UTC}
	parser, err := newParser(p, new(commandLine))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(args); err != nil {
		t.Errorf("%s\n\tis not understood: %v", line, err)
	}
}

// exampleArgs returns the arguments of a line that runs firjob, nil of others.
func exampleArgs(line string) []string {
	if _, after, piped := strings.Cut(line, " | "); piped {
		line = after
	}
	line, _, _ = strings.Cut(line, " > ")
	words := shellWords(line)
	for len(words) > 0 && strings.HasPrefix(words[0], "FIRJOB_") { // a variable that is set before the command
		words = words[1:]
	}
	if len(words) == 0 || words[0] != "firjob" {
		return nil
	}
	return words[1:]
}

// shellWords splits a line as a shell does, as far as the examples need it.
func shellWords(line string) []string {
	var words []string
	var quote rune
	word, inside := "", false
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word += string(r)
		case r == '"' || r == '\'':
			quote, inside = r, true
		case r == '#' && !inside:
			return words
		case r == ' ':
			if inside {
				words, word, inside = append(words, word), "", false
			}
		default:
			word, inside = word+string(r), true
		}
	}
	if inside {
		words = append(words, word)
	}
	return words
}
