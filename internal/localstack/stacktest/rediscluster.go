package stacktest

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/firjob/firjob/internal/localstack"
)

const (
	clusterNodes = 3
	hashSlots    = 16384
)

// RedisCluster gives the addresses (127.0.0.1:PORT) of an empty cluster that is
// private to the test: three primaries without replicas, each knowing the others
// and serving a third of the slots.
func RedisCluster(t testing.TB) []string {
	t.Helper()
	nodes := make([]clusterNode, clusterNodes)
	addrs := make([]string, clusterNodes)
	for i := range nodes {
		nodes[i] = startClusterNode(t)
		addrs[i] = nodes[i].Addr()
		first, last := i*hashSlots/clusterNodes, (i+1)*hashSlots/clusterNodes-1
		// Distinct epochs from the start spare the nodes a round of conflicts.
		command(t, addrs[i], "CLUSTER SET-CONFIG-EPOCH %d", i+1)
		command(t, addrs[i], "CLUSTER ADDSLOTSRANGE %d %d", first, last)
	}
	for _, node := range nodes[1:] {
		host, port, _ := net.SplitHostPort(node.Addr())
		command(t, addrs[0], "CLUSTER MEET %s %s %d", host, port, node.bus)
	}
	for _, addr := range addrs {
		awaitReply(t, addr, "CLUSTER INFO", "cluster_state:ok", "cluster_slots_ok:"+strconv.Itoa(hashSlots),
			"cluster_size:"+strconv.Itoa(clusterNodes))
	}
	return addrs
}

type clusterNode struct {
	*localstack.Redis
	bus int
}

// startClusterNode names the port of the cluster bus itself, because the usual
// one, 10000 above the other, may not exist or not be free.
func startClusterNode(t testing.TB) clusterNode {
	t.Helper()
	bus := freePort(t)
	r := startRedis(t, localstack.RedisOptions{Args: []string{
		"--cluster-enabled", "yes",
		"--cluster-port", strconv.Itoa(bus),
		"--cluster-node-timeout", "2000",
	}})
	return clusterNode{Redis: r, bus: bus}
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// command runs a command that answers OK.
func command(t testing.TB, addr, format string, args ...any) {
	t.Helper()
	line := fmt.Sprintf(format, args...)
	reply, err := ask(t.Context(), addr, line)
	if err != nil || strings.TrimSpace(reply) != "OK" {
		t.Fatalf("%s: %s: got %q, %v; want OK", addr, line, reply, err)
	}
}
