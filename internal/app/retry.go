package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/sethvargo/go-retry"

	"github.com/firjob/firjob"
)

// startPatience is how long a server waits at its start for a store that
// cannot be reached: long enough for all of a cluster to come up together.
const startPatience = time.Minute

// retryStart calls f until it succeeds, fails for another reason than that the
// store is out of reach, or patience ends.
func retryStart(ctx context.Context, log *slog.Logger, what string, f func(context.Context) error) error {
	backoff := retry.WithMaxDuration(startPatience,
		retry.WithCappedDuration(2*time.Second, retry.NewExponential(100*time.Millisecond)))
	return retry.Do(ctx, backoff, func(ctx context.Context) error {
		err := f(ctx)
		if firjob.CodeOf(err) == firjob.CodeUnavailable {
			log.WarnContext(ctx, "waiting for "+what, "error", err)
			return retry.RetryableError(err)
		}
		return err
	})
}
