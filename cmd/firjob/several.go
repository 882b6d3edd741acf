package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// severalFlags are those of commands that may change several things at once.
type severalFlags struct {
	Yes bool `short:"y" help:"Do not ask."`
}

// target is one of the things that a command changes.
type target struct {
	path string
	name string // for people
}

// maxTargets is how many things one command changes at most.
const maxTargets = 10_000

// change is what a command does to each of its targets.
type change struct {
	verb, done string // "pause", "paused"
	one, more  string // "job", "jobs"
	always     bool   // ask for a single one, too
	single     bool   // it was named alone: the answer is shown as it is
	each       func(ctx context.Context, at target) ([]byte, error)
	show       func(out *output, answer []byte) error // what people see of a single one
}

// run asks, then changes one target after the other. It goes on after a refusal
// and fails at the end.
func (c change) run(ctx context.Context, p *process, out *output, yes bool, targets []target) error {
	if len(targets) == 0 {
		return out.done([]byte(`{"items":[]}`), "There are no such %s.", c.more)
	}
	if len(targets) > maxTargets {
		return fmt.Errorf("more than %d %s are selected: narrow the filter", maxTargets, c.more)
	}
	if (c.always || !c.single) && !yes {
		if err := p.confirm(c, targets); err != nil {
			return err
		}
	}
	if c.single {
		answer, err := c.each(ctx, targets[0])
		if err != nil {
			return err
		}
		if out.json {
			return out.writeJSON(answer)
		}
		return c.show(out, answer)
	}
	return c.all(ctx, p, out, targets)
}

func (c change) all(ctx context.Context, p *process, out *output, targets []target) error {
	answers, refused := []json.RawMessage{}, 0
	for _, at := range targets {
		answer, err := c.each(ctx, at)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			refused++
			fmt.Fprintf(p.stderr, "firjob: %s: %v\n", oneLine(at.name), err)
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
	if err := out.done(body, "%s %s.", counted(n, c.one+" was", c.more+" were"), c.done); err != nil {
		return err
	}
	if refused > 0 {
		return errors.New(counted(refused, c.one+" was refused", c.more+" were refused"))
	}
	return nil
}

// shownTargets is how many targets a question names.
const shownTargets = 10

// confirm asks whether the targets are to be changed. Without a terminal there is
// nobody to ask.
func (p *process) confirm(c change, targets []target) error {
	what := counted(len(targets), c.one, c.more)
	if !p.asks {
		return usagef("this would %s %s, and there is no terminal to ask at: give --yes", c.verb, what)
	}
	for i, at := range targets {
		if i == shownTargets {
			fmt.Fprintf(p.stderr, "  … and %d more\n", len(targets)-i)
			break
		}
		fmt.Fprintf(p.stderr, "  %s\n", oneLine(at.name))
	}
	fmt.Fprintf(p.stderr, "%s %s? [y/N] ", strings.ToUpper(c.verb[:1])+c.verb[1:], what)
	line, err := bufio.NewReader(p.stdin).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the answer: %w", err)
	}
	if word := strings.ToLower(strings.TrimSpace(line)); word != "y" && word != "yes" {
		return errors.New("nothing was changed")
	}
	return nil
}
