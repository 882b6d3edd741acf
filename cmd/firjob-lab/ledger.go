package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/samples"
	"github.com/firjob/firjob/lab/chaos"
	"github.com/firjob/firjob/worker"
)

// ledger returns a handler, for tests, that writes to a resource with its token
// when it begins and when it ends, as any handler should that changes something.
func ledger(url string) worker.Handler {
	client := &http.Client{Timeout: 5 * time.Second}
	return func(ctx context.Context, t *worker.Task) error {
		var params struct {
			For firjob.Duration `json:"for"`
		}
		if err := t.Params(&params); err != nil {
			return err
		}
		if err := enter(ctx, client, url, t); err != nil {
			return err
		}
		if err := samples.Pause(ctx, params.For.Std()); err != nil {
			return err
		}
		return enter(ctx, client, url, t)
	}
}

// enter makes one entry. That the ledger refuses a token is an error: another
// attempt has taken over.
func enter(ctx context.Context, client *http.Client, url string, t *worker.Task) error {
	text, err := json.Marshal(chaos.Entry{Key: t.IdempotencyKey(), Token: t.Token})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(text))
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the ledger answers %s", resp.Status)
	}
	return nil
}
