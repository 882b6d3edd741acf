package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/firjob/firjob/cmd/firjob/internal/console"
)

// completionCmd prints a script that completes the command line in a shell. The script
// runs completeCmd to find what a word may become.
type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

func (completionCmd) Help() string {
	return `Examples, for the shell that runs them:

    source <(firjob completion bash)
    source <(firjob completion zsh)
    firjob completion fish | source

    firjob completion bash`
}

func (c *completionCmd) Run(p *console.Process) error {
	_, err := fmt.Fprint(p.Stdout, completionScripts[c.Shell])
	return err
}

// completionScripts pass the words up to the cursor to "firjob complete" and offer
// the lines that it prints, file names where there are none.
var completionScripts = map[string]string{
	"bash": `_firjob() {
  local IFS=$'\n'
  COMPREPLY=($(firjob complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _firjob firjob
`,
	"zsh": `_firjob() {
  local -a found
  found=("${(@f)$(firjob complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "$found" ]]; then compadd -a found; else _files; fi
}
compdef _firjob firjob
`,
	"fish": `function __firjob_complete
    set -l words (commandline -opc) (commandline -ct)
    firjob complete -- $words[2..-1] 2>/dev/null
end
complete -c firjob -a '(__firjob_complete)'
`,
}

// completeCmd prints what the last of the words may become, one a line.
type completeCmd struct {
	Words []string `arg:"" optional:"" passthrough:"all" help:"The command line up to the cursor."`
}

func (c *completeCmd) Run(p *console.Process) error {
	parser, err := newParser(p, new(commandLine))
	if err != nil {
		return err
	}
	words := c.Words
	if len(words) > 0 && words[0] == "--" {
		words = words[1:]
	}
	for _, word := range completions(parser.Model.Node, words) {
		fmt.Fprintln(p.Stdout, word)
	}
	return nil
}

// completions returns what the last word may become: a command, a flag, or one of
// the values of the flag before it.
func completions(root *kong.Node, words []string) []string {
	if len(words) == 0 {
		words = []string{""}
	}
	node, last := root, words[len(words)-1]
	var waits *kong.Flag // for its value
	for _, word := range words[:len(words)-1] {
		if waits != nil {
			waits = nil
			continue
		}
		if strings.HasPrefix(word, "-") {
			if flag := flagNamed(node, word); flag != nil && !flag.IsBool() {
				waits = flag
			}
			continue
		}
		if i := slices.IndexFunc(node.Children, func(child *kong.Node) bool { return child.Name == word }); i >= 0 {
			node = node.Children[i]
		}
	}
	found := []string{}
	for _, word := range candidates(node, waits, strings.HasPrefix(last, "-")) {
		if strings.HasPrefix(word, last) {
			found = append(found, word)
		}
	}
	slices.Sort(found)
	return found
}

func candidates(node *kong.Node, waits *kong.Flag, flags bool) []string {
	var list []string
	switch {
	case waits != nil:
		return valuesOf(waits)
	case flags:
		for _, group := range node.AllFlags(true) {
			for _, flag := range group {
				list = append(list, "--"+flag.Name)
			}
		}
	default:
		for _, child := range node.Children {
			if !child.Hidden {
				list = append(list, child.Name)
			}
		}
	}
	return list
}

// flagNamed returns the flag that a word gives, unless it brings the value along.
func flagNamed(node *kong.Node, word string) *kong.Flag {
	for _, group := range node.AllFlags(false) {
		for _, flag := range group {
			if word == "--"+flag.Name || flag.Short != 0 && word == "-"+string(flag.Short) {
				return flag
			}
		}
	}
	return nil
}

// valuesOf returns the values of a flag that has a few: placeholders name them.
func valuesOf(flag *kong.Flag) []string {
	if text := flag.PlaceHolder; strings.Contains(text, "|") && text == strings.ToLower(text) {
		return strings.Split(text, "|")
	}
	return nil
}
