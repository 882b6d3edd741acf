package redisq

import (
	"context"
	"fmt"
)

// Nudge tells every server that something about the executors of an app has
// changed and is to be looked at now.
func (c *Client) Nudge(ctx context.Context, app string) error {
	if err := checkApp(app); err != nil {
		return fmt.Errorf("nudge replicas: %w", err)
	}
	err := c.rdb.Publish(ctx, c.keys.nudge(), app).Err()
	return c.failed(err, "tell servers about app %s", app)
}

// Nudges delivers the apps that servers are nudged about, this client's own
// nudges included. It is subscribed, closed and lossy as Wakes: what is lost is
// found by the next look at the registry.
func (c *Client) Nudges(ctx context.Context) <-chan string {
	return subscribe(ctx, c, c.keys.nudge(), func(app string) (string, error) {
		if checkApp(app) != nil {
			return "", fmt.Errorf("%q is not an app's name", clip(app))
		}
		return app, nil
	})
}
