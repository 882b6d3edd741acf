package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/cmd/firjob/internal/console"
	"github.com/firjob/firjob/internal/app"
)

// The bounds of the calls to executors.
const (
	pingPatience = 2 * time.Second
	pingsAtATime = 16
	pingsAtMost  = 160 // so that all of them take 20 s at the very most
	pingHeader   = 16 << 10
	faultShown   = 200 // bytes of what went wrong: it may quote what answers
)

// reach asks each executor at its address, as servers do, whether it is there.
// The question is not signed, for only servers have the keys; that it is refused
// for that shows an executor as well as an answer would.
func (x *serverExam) reach(ctx context.Context, executors []firjob.Executor) {
	if len(executors) == 0 {
		return
	}
	left := len(executors) - pingsAtMost
	executors = executors[:min(len(executors), pingsAtMost)]
	faults := pingAll(ctx, executors)
	silent := 0
	for i, e := range executors {
		if faults[i] != nil {
			silent++
			x.add(app.Doubtful, "executor "+e.Address,
				fmt.Sprintf("beats for app %s, but does not answer from this machine: %.*s", e.App, faultShown,
					faults[i].Error()),
				"see that every server reaches that address: Advertise of the executor, firewalls; from other "+
					"machines it need not answer")
		}
	}
	if silent == 0 {
		found := console.Counted(len(executors), "executor answers from this machine",
			"executors answer from this machine")
		if left > 0 {
			found += "; " + console.Counted(left, "more was not asked", "more were not asked")
		}
		x.add(app.Fine, "addresses", found, "")
	}
}

// pingAll returns what is wrong with each executor, nil for those that answer.
func pingAll(ctx context.Context, executors []firjob.Executor) []error {
	client := &http.Client{Timeout: pingPatience,
		Transport:     &http.Transport{DisableKeepAlives: true, MaxResponseHeaderBytes: pingHeader},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	faults := make([]error, len(executors))
	slots := make(chan struct{}, pingsAtATime)
	var all sync.WaitGroup
	for i, e := range executors {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			faults[i] = ping(ctx, client, e.Address)
		})
	}
	all.Wait()
	return faults
}

func ping(ctx context.Context, client *http.Client, address string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+firjob.PathPing, nil)
	if err != nil {
		return errors.New("it is not an address")
	}
	resp, err := client.Do(req)
	if err != nil {
		if sent := new(url.Error); errors.As(err, &sent) {
			return sent.Err
		}
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized && resp.StatusCode != http.StatusOK {
		return fmt.Errorf("something else answers there, with status %d", resp.StatusCode)
	}
	return nil
}
