package console

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// SeveralFlags are those of commands that may change several things at once.
type SeveralFlags struct {
	Yes bool `short:"y" help:"Do not ask for confirmation."`
}

// Target is one of the things that a command changes.
type Target struct {
	Path string
	Name string // for people
}

// MaxTargets is how many things one command changes at most.
const MaxTargets = 10_000

// Change is what a command does to each of its targets.
type Change struct {
	Verb, Done string // "pause", "paused"
	One, More  string // "job", "jobs"
	Always     bool   // ask for a single one, too
	Single     bool   // it was named alone: the answer is shown as it is
	Each       func(ctx context.Context, at Target) ([]byte, error)
	Show       func(out *Output, answer []byte) error // what people see of a single one
}

// Run asks, then changes one target after the other. It goes on after a refusal
// and fails at the end.
func (c Change) Run(ctx context.Context, p *Process, out *Output, yes bool, targets []Target) error {
	if len(targets) == 0 {
		return out.Done([]byte(`{"items":[]}`), "There are no such %s.", c.More)
	}
	if len(targets) > MaxTargets {
		return fmt.Errorf("more than %d %s are selected: narrow the filter", MaxTargets, c.More)
	}
	if (c.Always || !c.Single) && !yes {
		if err := p.Confirm(c, targets); err != nil {
			return err
		}
	}
	if c.Single {
		answer, err := c.Each(ctx, targets[0])
		if err != nil {
			return err
		}
		if out.JSON {
			return out.WriteJSON(answer)
		}
		return c.Show(out, answer)
	}
	return c.all(ctx, p, out, targets)
}

func (c Change) all(ctx context.Context, p *Process, out *Output, targets []Target) error {
	answers, refused := []json.RawMessage{}, 0
	for _, at := range targets {
		answer, err := c.Each(ctx, at)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			refused++
			fmt.Fprintf(p.Stderr, "firjob: %s: %v\n", OneLine(at.Name), err)
			continue
		}
		if len(answer) > 0 {
			answers = append(answers, answer)
		}
	}
	body, err := json.Marshal(map[string]any{"items": answers})
	if err != nil {
		return fmt.Errorf("write the answers: %w", err)
	}
	n := len(targets) - refused
	if err := out.Done(body, "%s %s.", Counted(n, c.One+" was", c.More+" were"), c.Done); err != nil {
		return err
	}
	if refused > 0 {
		return errors.New(Counted(refused, c.One+" was refused", c.More+" were refused"))
	}
	return nil
}

// shownTargets is how many targets a question names.
const shownTargets = 10

// Confirm asks whether the targets are to be changed. Without a terminal there is
// nobody to ask.
func (p *Process) Confirm(c Change, targets []Target) error {
	what := Counted(len(targets), c.One, c.More)
	if !p.Asks {
		return Usagef("this would %s %s, and there is no terminal to ask at: give --yes", c.Verb, what)
	}
	for i, at := range targets {
		if i == shownTargets {
			fmt.Fprintf(p.Stderr, "  … and %d more\n", len(targets)-i)
			break
		}
		fmt.Fprintf(p.Stderr, "  %s\n", OneLine(at.Name))
	}
	fmt.Fprintf(p.Stderr, "%s %s? [y/N] ", strings.ToUpper(c.Verb[:1])+c.Verb[1:], what)
	line, err := bufio.NewReader(p.Stdin).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the answer: %w", err)
	}
	if word := strings.ToLower(strings.TrimSpace(line)); word != "y" && word != "yes" {
		return errors.New("nothing was changed")
	}
	return nil
}
