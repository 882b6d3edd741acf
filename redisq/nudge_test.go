package redisq_test

import (
	"testing"
	"time"

	"github.com/firjob/firjob/redisq"
)

func TestNudges(t *testing.T) {
	t.Parallel()
	everywhere(t, map[string]func(*testing.T, harness){"nudges": nudges})
}

// A nudge reaches every server, the one that nudges included; what is no app's
// name reaches nobody.
func nudges(t *testing.T, h harness) {
	ctx := t.Context()
	other := open(t, redisq.Options{URL: h.url, Prefix: h.prefix, Shards: shards})
	channels := []<-chan string{h.Nudges(ctx), other.Nudges(ctx)}
	await(t, "both subscriptions", func() bool {
		n, err := h.raw.Publish(ctx, h.key("nudge"), "No App").Result()
		must(t, err)
		return n == 2
	})
	must(t, h.Nudge(ctx, "billing"))
	must(t, other.Nudge(ctx, "e-mail"))
	for i, channel := range channels {
		for _, want := range []string{"billing", "e-mail"} {
			select {
			case got := <-channel:
				if got != want {
					t.Errorf("replica %d was nudged about %q, want %q", i, got, want)
				}
			case <-time.After(instant):
				t.Fatalf("replica %d was not nudged about %s", i, want)
			}
		}
	}
	if err := h.Nudge(ctx, "a b"); err == nil {
		t.Error("a nudge about app \"a b\": no error")
	}
}
