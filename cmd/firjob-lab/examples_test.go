package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// Each command line of the documents that runs firjob-lab is one that it takes.
func TestExamples(t *testing.T) {
	t.Parallel()
	line := regexp.MustCompile(`(?m)^(?:go run (?:-tags chaos )?\./cmd/)?firjob-lab ([^\n#|>]*)`)
	count := 0
	for _, file := range []string{"README.md", "docs/cli.md", "docs/performance.md", "docs/reliability.md", "docs/scaling.md"} {
		text, err := os.ReadFile("../../" + file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range line.FindAllStringSubmatch(string(text), -1) {
			count++
			args := strings.Fields(found[1])
			for i := range args {
				if args[i] == "./firjob-before" {
					args[i] = "examples_test.go" // any file that exists
				}
			}
			parser, err := kong.New(new(commandLine))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := parser.Parse(args); err != nil {
				t.Errorf("%s: firjob-lab %v is not understood: %v", file, args, err)
			}
		}
	}
	if count < 25 {
		t.Errorf("found %d examples, want 25 or more", count)
	}
}
