package localstack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
)

const (
	clusterNodes = 3
	hashSlots    = 16384
)

// RedisCluster is three primaries without replicas, each knowing the others and
// serving a third of the slots.
type RedisCluster struct {
	Nodes []*Redis
	buses []int
}

// StartRedisCluster starts an empty cluster and returns when it serves every
// slot. Nothing is kept. log may be nil.
func StartRedisCluster(ctx context.Context, log *slog.Logger) (_ *RedisCluster, err error) {
	c := &RedisCluster{}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Stop(context.WithoutCancel(ctx)))
		}
	}()
	for range clusterNodes {
		if err := c.startNode(ctx, log); err != nil {
			return nil, err
		}
	}
	for i, node := range c.Nodes[1:] {
		host, port, _ := net.SplitHostPort(node.Addr())
		if _, err := Ask(ctx, c.Nodes[0].Addr(), "CLUSTER", "MEET", host, port,
			strconv.Itoa(c.buses[i+1])); err != nil {
			return nil, err
		}
	}
	for _, node := range c.Nodes {
		err := awaitReply(ctx, node.Addr(), []string{"CLUSTER", "INFO"}, "cluster_state:ok",
			"cluster_slots_ok:"+strconv.Itoa(hashSlots), "cluster_size:"+strconv.Itoa(clusterNodes))
		if err != nil {
			return nil, err
		}
	}
	return c, nil
}

// startNode starts the next node with its slots. It names the port of the cluster
// bus itself, because the usual one, 10000 above the other, may not exist or not
// be free.
func (c *RedisCluster) startNode(ctx context.Context, log *slog.Logger) error {
	bus, err := freePort()
	if err != nil {
		return err
	}
	node, err := StartRedis(ctx, RedisOptions{Ephemeral: true, Log: log, Args: []string{
		"--cluster-enabled", "yes",
		"--cluster-port", strconv.Itoa(bus),
		"--cluster-node-timeout", "2000",
	}})
	if err != nil {
		return err
	}
	i := len(c.Nodes)
	c.Nodes, c.buses = append(c.Nodes, node), append(c.buses, bus)
	// Distinct epochs from the start spare the nodes a round of conflicts.
	if _, err := Ask(ctx, node.Addr(), "CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1)); err != nil {
		return err
	}
	first, last := i*hashSlots/clusterNodes, (i+1)*hashSlots/clusterNodes-1
	_, err = Ask(ctx, node.Addr(), "CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(first), strconv.Itoa(last))
	return err
}

// Addrs are the addresses of the nodes.
func (c *RedisCluster) Addrs() []string {
	var addrs []string
	for _, node := range c.Nodes {
		addrs = append(addrs, node.Addr())
	}
	return addrs
}

// URL is redis+cluster://127.0.0.1:PORT,127.0.0.1:PORT,…
func (c *RedisCluster) URL() string { return "redis+cluster://" + strings.Join(c.Addrs(), ",") }

// MoveSlot moves the slot of a key to another node, as an operator would under
// load: for a while both nodes know of the move, and clients are sent to and fro.
// meanwhile is called in that state, before the keys move.
func (c *RedisCluster) MoveSlot(ctx context.Context, key string, meanwhile func()) error {
	slot, err := one(Ask(ctx, c.Nodes[0].Addr(), "CLUSTER", "KEYSLOT", key))
	if err != nil {
		return err
	}
	from, err := c.owner(ctx, slot)
	if err != nil {
		return err
	}
	to := (from + 1) % len(c.Nodes)
	ids := make([]string, len(c.Nodes))
	for i, node := range c.Nodes {
		if ids[i], err = one(Ask(ctx, node.Addr(), "CLUSTER", "MYID")); err != nil {
			return err
		}
	}
	if _, err := Ask(ctx, c.Nodes[to].Addr(), "CLUSTER", "SETSLOT", slot, "IMPORTING", ids[from]); err != nil {
		return err
	}
	if _, err := Ask(ctx, c.Nodes[from].Addr(), "CLUSTER", "SETSLOT", slot, "MIGRATING", ids[to]); err != nil {
		return err
	}
	meanwhile()
	if err := c.moveKeys(ctx, slot, c.Nodes[from].Addr(), c.Nodes[to].Addr()); err != nil {
		return err
	}
	for _, i := range []int{to, from, (to + 1) % len(c.Nodes)} { // the new owner hears of it first
		if _, err := Ask(ctx, c.Nodes[i].Addr(), "CLUSTER", "SETSLOT", slot, "NODE", ids[to]); err != nil {
			return err
		}
	}
	return nil
}

func (c *RedisCluster) moveKeys(ctx context.Context, slot, from, to string) error {
	host, port, _ := net.SplitHostPort(to)
	for {
		keys, err := Ask(ctx, from, "CLUSTER", "GETKEYSINSLOT", slot, "100")
		if err != nil || len(keys) == 0 {
			return err
		}
		command := append([]string{"MIGRATE", host, port, "", "0", "5000", "REPLACE", "KEYS"}, keys...)
		if _, err := Ask(ctx, from, command...); err != nil {
			return err
		}
	}
}

// owner returns the index of the node that serves a slot.
func (c *RedisCluster) owner(ctx context.Context, slot string) (int, error) {
	number, err := strconv.Atoi(slot)
	if err != nil {
		return 0, fmt.Errorf("slot %q is not a number", slot)
	}
	for i, node := range c.Nodes {
		nodes, err := one(Ask(ctx, node.Addr(), "CLUSTER", "NODES"))
		if err != nil {
			return 0, err
		}
		for line := range strings.Lines(nodes) {
			if strings.Contains(line, "myself") && serves(strings.Fields(line)[8:], number) {
				return i, nil
			}
		}
	}
	return 0, fmt.Errorf("no server has slot %s", slot)
}

// serves reports whether a slot is among ranges such as "0-5460" and "7".
func serves(ranges []string, slot int) bool {
	for _, r := range ranges {
		first, last, whole := strings.Cut(r, "-")
		if !whole {
			last = first
		}
		low, errLow := strconv.Atoi(first)
		high, errHigh := strconv.Atoi(last)
		if errLow == nil && errHigh == nil && low <= slot && slot <= high {
			return true
		}
	}
	return false
}

func one(reply []string, err error) (string, error) {
	if err == nil && len(reply) != 1 {
		err = fmt.Errorf("got %q, want one answer", reply)
	}
	if err != nil {
		return "", err
	}
	return reply[0], nil
}

// Stop stops every node.
func (c *RedisCluster) Stop(ctx context.Context) error {
	var errs []error
	for _, node := range c.Nodes {
		errs = append(errs, node.Stop(ctx))
	}
	return errors.Join(errs...)
}
