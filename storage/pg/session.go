package pg

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// maxSessionName is what Postgres keeps of an application_name, in bytes.
const maxSessionName = 63

// sessionName is the application_name of a server's hot pool. Postgres changes
// what is long or not plain ASCII, so such a name is replaced by a digest.
func sessionName(replica string) string {
	if replica == "" {
		return "firjob"
	}
	name := "firjob " + replica
	if len(name) > maxSessionName || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r > '~' }) {
		sum := sha256.Sum256([]byte(replica))
		return "firjob " + hex.EncodeToString(sum[:16])
	}
	return name
}

// HasSession reports whether a server (Options.Replica) is connected to the
// database. The sessions of a process end with it, unless a pooler keeps them.
func (db *DB) HasSession(ctx context.Context, replica string) (bool, error) {
	var has bool
	err := db.Hot.QueryRow(ctx, hasSessionSQL, sessionName(replica)).Scan(&has)
	return has, Classify("look for a replica's sessions", err)
}

const hasSessionSQL = `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = $1)`
