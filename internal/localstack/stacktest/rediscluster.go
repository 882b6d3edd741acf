package stacktest

import (
	"context"
	"testing"

	"github.com/firjob/firjob/internal/localstack"
)

// RedisCluster gives the addresses (127.0.0.1:PORT) of an empty cluster that is
// private to the test; see localstack.RedisCluster.
func RedisCluster(t testing.TB) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := localstack.StartRedisCluster(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	stopAtEnd(t, "redis cluster", c.Stop)
	return c.Addrs()
}
