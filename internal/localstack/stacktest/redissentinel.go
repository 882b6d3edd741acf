package stacktest

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/firjob/firjob/internal/localstack"
)

// sentinelMaster is the name under which the sentinel knows the primary.
const sentinelMaster = "firjob"

// RedisSentinel gives a primary with one replica, watched by one sentinel that
// needs no other's vote and holds a silent primary for dead after 500 ms. All are
// private to the test. The URL is redis+sentinel://127.0.0.1:PORT/0?master=firjob, with
// the sentinel's port.
func RedisSentinel(t testing.TB) (url string, primary, replica *localstack.Redis) {
	t.Helper()
	primary = startRedis(t, localstack.RedisOptions{Args: []string{"--repl-diskless-sync-delay", "0"}})
	host, port, _ := net.SplitHostPort(primary.Addr())
	replica = startRedis(t, localstack.RedisOptions{Args: []string{"--replicaof", host + " " + port}})
	awaitReply(t, replica.Addr(), "INFO replication", "master_link_status:up")

	// The sentinel comes last: it asks a primary for its replicas at the start
	// and then only every ten seconds.
	config := filepath.Join(t.TempDir(), "sentinel.conf")
	text := fmt.Sprintf("sentinel monitor %[1]s %[2]s %[3]s 1\n"+
		"sentinel down-after-milliseconds %[1]s 500\n"+
		"sentinel failover-timeout %[1]s 2000\n", sentinelMaster, host, port)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	sentinel := startRedis(t, localstack.RedisOptions{Config: config, Args: []string{"--sentinel"}})
	awaitReply(t, sentinel.Addr(), "INFO sentinel", fmt.Sprintf("status=ok,address=%s,slaves=1", primary.Addr()))
	return "redis+sentinel://" + sentinel.Addr() + "/0?master=" + sentinelMaster, primary, replica
}
