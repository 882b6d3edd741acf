// Executor runs the handler "report" for the jobs of the app billing.
package main

import (
	"context"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/firjob/firjob/worker"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	w, err := worker.New(worker.Options{ // the server is that of FIRJOB_SERVER_URL
		App:    "billing",
		Secret: os.Getenv("BILLING_SECRET"),
	})
	if err != nil {
		log.Fatal(err)
	}
	w.Handle("report", report)
	if err := w.Run(ctx); err != nil { // until SIGTERM; then it finishes what it has
		log.Fatal(err)
	}
}

// report is called once for each attempt. An error is a failed attempt; the
// job's retry rule decides what follows. ctx ends on a timeout or a cancel.
func report(ctx context.Context, t *worker.Task) error {
	params := struct {
		Region string `json:"region"`
	}{Region: "all"}
	if err := t.Params(&params); err != nil {
		return err
	}
	return t.SetResult(map[string]string{"region": params.Region, "until": t.ScheduledAt.String()})
}
