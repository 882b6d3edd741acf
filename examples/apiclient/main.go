// Apiclient triggers a job through the HTTP API and waits for its end:
//
//	go run ./examples/apiclient JOB
//
// It reads FIRJOB_SERVER_URL and FIRJOB_TOKEN, as the command line does.
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"time"
)

// execution is what this program reads of an execution; docs/openapi.json has
// all of it.
type execution struct {
	ID     string          `json:"id"`
	State  string          `json:"state"`
	Reason string          `json:"reason"`
	Result json.RawMessage `json:"result"`
}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: apiclient JOB, the number of a job")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	e, err := run(ctx, os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(e.State, e.Reason, string(e.Result))
}

// run triggers the job and asks for the execution until it has ended.
func run(ctx context.Context, job string) (e execution, err error) {
	// The key makes a repeat of this request harmless, so it may be sent again
	// when its answer was lost. A real caller derives it from its own data.
	key := fmt.Sprintf("example-%d", time.Now().UnixNano())
	if err := call(ctx, http.MethodPost, "/api/v1/jobs/"+job+"/trigger", key, map[string]any{}, &e); err != nil {
		return e, err
	}
	for tick := time.NewTicker(200 * time.Millisecond); e.State == "planned" || e.State == "running"; {
		select {
		case <-ctx.Done():
			return e, fmt.Errorf("wait for execution %s: %w", e.ID, ctx.Err())
		case <-tick.C:
		}
		if err := call(ctx, http.MethodGet, "/api/v1/executions/"+e.ID, "", nil, &e); err != nil {
			return e, err
		}
	}
	return e, nil
}

func call(ctx context.Context, method, path, key string, body, reply any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	url := cmp.Or(os.Getenv("FIRJOB_SERVER_URL"), "http://127.0.0.1:8080") + path
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+os.Getenv("FIRJOB_TOKEN"))
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 { // problem+json: it lists every fault
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, answer)
	}
	return json.Unmarshal(answer, reply)
}
