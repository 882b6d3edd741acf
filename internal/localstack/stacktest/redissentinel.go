package stacktest

import (
	"context"
	"testing"

	"github.com/firjob/firjob/internal/localstack"
)

// RedisSentinel gives a primary with one replica and their sentinel, private to
// the test; see localstack.Sentinel.
func RedisSentinel(t testing.TB) (url string, primary, replica *localstack.Redis) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s, err := localstack.StartSentinel(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	stopAtEnd(t, "redis and its sentinel", s.Stop)
	return s.URL(), s.Primary, s.Replica
}
