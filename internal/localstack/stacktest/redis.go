package stacktest

import (
	"context"
	"testing"

	"github.com/firjob/firjob/internal/localstack"
)

// Redis gives an empty server that is private to the test.
func Redis(t testing.TB) *localstack.Redis {
	t.Helper()
	return startRedis(t, localstack.RedisOptions{})
}

// startRedis starts an ephemeral server that ends with the test.
func startRedis(t testing.TB, opts localstack.RedisOptions) *localstack.Redis {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	opts.Ephemeral = true
	r, err := localstack.StartRedis(ctx, opts)
	if err != nil {
		t.Fatal(err)
	}
	stopAtEnd(t, "redis", r.Stop)
	return r
}
