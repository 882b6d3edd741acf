// Package lua holds the scripts that run inside Redis, one a file, verbatim:
// the bytes that are sent are the bytes that redis-cli --eval runs, and a
// file's sha1sum is the hash of its script. Each opens with its contract. Each
// touches the keys it is given, which lie in one slot of a cluster, and no
// other. README.md has a line to try for each.
package lua

import (
	"crypto/sha1"
	_ "embed"
	"encoding/hex"
)

// Script is one script.
type Script struct {
	Name   string // its file without .lua
	Source string
	SHA1   string // in hexadecimal, as EVALSHA takes it
}

// Scripts is every script. The contract of each is the head of its file.
type Scripts struct {
	// The delay queue.
	Announce, Claim, Return, Reap Script
	// The registry of executors.
	Beat, Leave, Executors Script
	// What routes remember of a job.
	LRU, LFU, Sticky Script
	// The servers and the index's life.
	Replica, Epoch Script
	// What is not ours.
	Evict Script
}

var (
	//go:embed announce.lua
	announce string
	//go:embed claim.lua
	claim string
	//go:embed return.lua
	giveBack string
	//go:embed reap.lua
	reap string
	//go:embed beat.lua
	beat string
	//go:embed leave.lua
	leave string
	//go:embed executors.lua
	executors string
	//go:embed lru.lua
	lru string
	//go:embed lfu.lua
	lfu string
	//go:embed sticky.lua
	sticky string
	//go:embed replica.lua
	replica string
	//go:embed epoch.lua
	epoch string
	//go:embed evict.lua
	evict string
)

// All returns the scripts.
func All() Scripts {
	return Scripts{
		Announce:  script("announce", announce),
		Claim:     script("claim", claim),
		Return:    script("return", giveBack),
		Reap:      script("reap", reap),
		Beat:      script("beat", beat),
		Leave:     script("leave", leave),
		Executors: script("executors", executors),
		LRU:       script("lru", lru),
		LFU:       script("lfu", lfu),
		Sticky:    script("sticky", sticky),
		Replica:   script("replica", replica),
		Epoch:     script("epoch", epoch),
		Evict:     script("evict", evict),
	}
}

func script(name, source string) Script {
	sum := sha1.Sum([]byte(source)) // Redis's name for it; no secret hangs on it
	return Script{Name: name, Source: source, SHA1: hex.EncodeToString(sum[:])}
}
