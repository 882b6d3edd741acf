package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/firjob/firjob/internal/failpoint"
	"github.com/firjob/firjob/lab/chaos"
)

// chaosCmd does a cluster harm and looks for every fire.
type chaosCmd struct {
	Duration  time.Duration `default:"5m" help:"Of the load and the faults. Default: ${default}."`
	Seed      uint64        `default:"1" help:"The same seed gives the same schedule of faults. Default: ${default}."`
	Topology  string        `default:"single" enum:"single,sentinel,cluster" help:"Of Redis: single, sentinel or cluster. Default: ${default}."`
	Rate      int           `default:"200" help:"Fires a second. Default: ${default}."`
	Out       string        `type:"path" placeholder:"DIR" help:"Where history, dump, report, timeline and logs go. Default: a new folder for temporary files."`
	Faults    []string      `placeholder:"CLASS" help:"Only these classes of faults; all that the topology knows by default."`
	OnMin     time.Duration `name:"on-min" default:"5s" help:"The shortest fault. Default: ${default}."`
	OnMax     time.Duration `name:"on-max" default:"20s" help:"The longest fault. Default: ${default}."`
	Off       time.Duration `default:"10s" help:"Between faults. Default: ${default}."`
	Settle    time.Duration `default:"2m" help:"How long sessions, goroutines and keys may take in the end to be as few as before; 0s: they are not looked at. Default: ${default}."`
	OldBinary string        `name:"old-binary" type:"existingfile" placeholder:"FILE" help:"Begins with servers of this program, and replaces them by this one's under load."`
}

// Help says what is done, and what is left behind.
func (chaosCmd) Help() string {
	return "Starts Postgres, Redis, three servers and four executors on this machine, loads them, kills, stops and\n" +
		"cuts them off by a schedule that follows from the seed, and judges the history of it all: whether each\n" +
		"fire was recorded once, begun, on time, and its result kept. Exit code 1 if anything was violated.\n" +
		"docs/reliability.md says what is checked.\n\nExample:\n  firjob-lab chaos --duration 5m --seed 7 --out run-7"
}

// Run runs it and prints the report.
func (c *chaosCmd) Run(ctx context.Context, p *process) error {
	dir, err := c.folder()
	if err != nil {
		return err
	}
	began := p.now()
	o := chaos.Options{
		Dir: dir, Seed: c.Seed, Duration: c.Duration, Topology: chaos.Topology(c.Topology), Rate: c.Rate,
		Classes: c.Faults, OnMin: c.OnMin, OnMax: c.OnMax, Off: c.Off, Settle: c.Settle, OldBinary: c.OldBinary,
		Progress: func(line string) {
			fmt.Fprintf(p.stderr, "%6.1fs %s\n", p.now().Sub(began).Seconds(), strings.TrimRight(line, "\n"))
		},
	}
	switch {
	case !failpoint.Enabled:
		o.Progress("without the faults that end a process between two steps: go run -tags chaos ./cmd/firjob-lab " +
			"chaos has them")
	case c.OldBinary != "":
		o.Progress("without the faults that end a process between two steps: the old program may not know them")
	default:
		o = chaos.WithFailpoints(o)
	}
	report, err := chaos.Run(ctx, o)
	if err != nil {
		return err
	}
	if err := report.Write(p.stdout); err != nil {
		return err
	}
	fmt.Fprintf(p.stderr, "all of it is in %s\n", dir)
	if !report.Held() {
		return errors.New("what is promised did not hold")
	}
	return nil
}

func (c *chaosCmd) folder() (string, error) {
	if c.Out != "" {
		return filepath.Abs(c.Out)
	}
	return os.MkdirTemp("", "firjob-chaos-")
}
