package httpapi

import (
	"crypto/sha256"
	"sync"
	"time"
)

// Bounds of what is remembered of good credentials. A secret that was changed
// is refused after credentialsFresh at the latest while the store answers.
const (
	credentialsFresh = 30 * time.Second
	credentialsStale = time.Hour
	maxCredentials   = 4096
)

// credentialKey stands for an app and its secret, neither of which is kept.
type credentialKey [sha256.Size]byte

func credentials(app, secret string) credentialKey {
	return sha256.Sum256([]byte(app + "\x00" + secret))
}

// credentialCache remembers credentials that were found good, and when. Wrong
// ones are never remembered, hence cannot crowd out the good. It is safe for
// concurrent use.
type credentialCache struct {
	mu   sync.Mutex
	good map[credentialKey]time.Time
}

func newCredentialCache() *credentialCache {
	return &credentialCache{good: map[credentialKey]time.Time{}}
}

// age returns how long ago the credentials were found good; not known means
// never, or too long ago to count at all.
func (c *credentialCache) age(key credentialKey, now time.Time) (age time.Duration, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at, known := c.good[key]
	age = now.Sub(at)
	return age, known && age < credentialsStale
}

// remember notes good credentials. A full cache first forgets what is too old
// to count, and if nothing is, any entry: its next use asks the store again.
func (c *credentialCache) remember(key credentialKey, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.good) >= maxCredentials {
		c.makeRoom(now)
	}
	c.good[key] = now
}

func (c *credentialCache) makeRoom(now time.Time) {
	for key, at := range c.good {
		if now.Sub(at) >= credentialsStale {
			delete(c.good, key)
		}
	}
	for key := range c.good {
		if len(c.good) < maxCredentials {
			return
		}
		delete(c.good, key)
	}
}
