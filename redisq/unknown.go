package redisq

import (
	"context"
	"sync"

	"github.com/redis/go-redis/v9"
)

// unknownIDs are members of a key that firjob has not written there.
type unknownIDs struct {
	key     string
	members []any
	with    string // a key that goes with them; "" for none
	why     error  // how they were known; nil where they speak for themselves
}

// discard removes unknown members and logs that, once for each: another program may
// write them again and again.
func (c *Client) discard(ctx context.Context, strange []unknownIDs) {
	if len(strange) == 0 {
		return
	}
	err := c.exec(ctx, func(p redis.Pipeliner) {
		for _, s := range strange {
			p.ZRem(ctx, s.key, s.members...)
			if s.with != "" {
				p.Del(ctx, s.with)
			}
		}
	})
	for _, s := range strange {
		if err == nil {
			c.removed.Add(int64(len(s.members)))
		}
		first := clip(s.members[0])
		if !c.told.first(s.key + " " + first) {
			continue
		}
		log := c.log.With("key", s.key, "count", len(s.members), "first", first)
		if s.why != nil {
			log = log.With("reason", s.why)
		}
		if err != nil {
			log.WarnContext(ctx, "members that do not belong in this key could not be removed", "error", err)
			continue
		}
		log.WarnContext(ctx, "removed members that do not belong in this key")
	}
}

// clip shortens a member for the log.
func clip(member any) string {
	text, _ := member.(string)
	return text[:min(len(text), 64)]
}

// told is what was said already. The zero value has said nothing. It is safe
// for concurrent use.
type told struct {
	mu   sync.Mutex
	said map[string]bool
}

// toldCap bounds the memory of told; beyond it, all is forgotten.
const toldCap = 1024

// first reports whether text is new.
func (t *told) first(text string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.said[text] {
		return false
	}
	if t.said == nil || len(t.said) >= toldCap {
		t.said = make(map[string]bool)
	}
	t.said[text] = true
	return true
}
