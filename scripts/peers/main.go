// Command peers puts fir-job and other schedulers through the same faults, and
// the same load, on this machine. README.md says how to read what it prints.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// commands are the programs in this one. Those without a word for people are what
// the others start as processes of their own, so that they can be killed.
func commands() map[string]func(ctx context.Context, args []string) error {
	return map[string]func(context.Context, []string) error{
		"faults":          faultsCommand,
		"throughput":      throughputCommand,
		"server":          firjobServer, // the names that internal/cluster starts
		"worker":          firjobWorker,
		"asynq-scheduler": asynqScheduler,
		"asynq-worker":    asynqWorker,
		"asynq-producer":  asynqProducer,
		"river-scheduler": riverScheduler,
		"river-worker":    riverWorker,
		"river-producer":  riverProducer,
	}
}

const usage = `usage: peers faults|throughput [flags]

faults      the same seven faults for fir-job, asynq and River: missed, doubled, stuck, time to re-run
throughput  executions a second, CPU for each, and the lateness of delayed ones, side by side

-h after either lists its flags.
`

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(args) == 0 || commands()[args[0]] == nil {
		fmt.Fprint(os.Stderr, usage)
		return 2
	}
	err := commands()[args[0]](ctx, args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(os.Stderr, "peers "+args[0]+":", err)
		return 1
	}
	return 0
}
