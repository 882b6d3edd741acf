package redisq_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/redis/go-redis/v9"

	"github.com/firjob/firjob"
)

func TestRegistry(t *testing.T) {
	t.Parallel()
	everywhere(t, map[string]func(*testing.T, harness){
		"beat and read":                       beatAndRead,
		"labels are the latest":               labelsReplaced,
		"the silent are left out":             silentLeftOut,
		"a late beat changes nothing":         lateBeat,
		"a late beat replaces the silent":     lateBeatOfSilent,
		"leave":                               leave,
		"the forgotten leave the set":         forgottenLeave,
		"strange executors are removed":       strangeExecutors,
		"strange executors are told once":     strangeExecutorsTold,
		"absurd starts can be read":           absurdStarts,
		"an app's name is checked":            appChecked,
		"replicas":                            replicas,
		"a line tells the dead from the slow": replicaLines,
	})
}

func executor(app, address, incarnation string, started time.Time) firjob.Executor {
	return firjob.Executor{
		App: app, Address: address, Incarnation: incarnation, Version: "v1.2 {x}", Capacity: 8, Queue: 64,
		Running: 3, State: firjob.ExecutorActive, StartedAt: started.UTC().Truncate(time.Millisecond),
	}
}

// bare drops what Redis adds.
var bare = cmpopts.IgnoreFields(firjob.Executor{}, "LastBeat")

func (h harness) executors(t *testing.T, apps ...string) []firjob.Executor {
	t.Helper()
	alive, err := h.Executors(t.Context(), apps, time.Minute)
	must(t, err)
	var list []firjob.Executor
	for _, a := range alive {
		list = append(list, a.Executor)
	}
	slices.SortFunc(list, func(a, b firjob.Executor) int { return strings.Compare(a.App+a.Address, b.App+b.Address) })
	return list
}

func beatAndRead(t *testing.T, h harness) {
	ctx := t.Context()
	want := []firjob.Executor{
		executor("billing", "10.0.0.7:9999", "a", time.Now()),
		executor("billing", "[::1]:9999", "b", time.Now().Add(-time.Hour)),
		executor("e-mail.v2_x", "10.0.0.7:9999", "c", time.Now()),
	}
	want[1].State, want[2].State = firjob.ExecutorDraining, firjob.ExecutorCordoned
	want[1].Labels = map[string]string{"zone": "eu", "gpu": `"a" {b}`}
	before := time.Now().Truncate(time.Millisecond)
	for _, e := range want {
		must(t, h.Beat(ctx, e))
	}
	if diff := cmp.Diff(want, h.executors(t, "billing", "nobody", "e-mail.v2_x"), bare); diff != "" {
		t.Errorf("executors (-want +got):\n%s", diff)
	}
	alive, err := h.Executors(ctx, []string{"billing"}, time.Minute)
	must(t, err)
	for _, a := range alive {
		if a.LastBeat.Before(before) || a.LastBeat.After(time.Now()) || a.Age < 0 || a.Age > instant {
			t.Errorf("%s beat at %v, %v ago; want just now", a.Address, a.LastBeat, a.Age)
		}
	}
	ttl := h.raw.PTTL(ctx, h.key("executor:{billing}:10.0.0.7:9999")).Val()
	if ttl <= 0 || ttl > time.Minute {
		t.Errorf("the hash lives %v, want up to a minute", ttl)
	}
}

// A beat replaces the labels of the beat before, also by none.
func labelsReplaced(t *testing.T, h harness) {
	e := executor("billing", "a:1", "a", time.Now())
	for _, labels := range []map[string]string{{"zone": "eu"}, {"zone": "us", "gpu": "yes"}, nil} {
		e.Labels = labels
		must(t, h.Beat(t.Context(), e))
		if diff := cmp.Diff([]firjob.Executor{e}, h.executors(t, "billing"), bare); diff != "" {
			t.Errorf("executors after a beat with labels %v (-want +got):\n%s", labels, diff)
		}
	}
}

func silentLeftOut(t *testing.T, h harness) {
	ctx := t.Context()
	must(t, h.Beat(ctx, executor("billing", "a:1", "a", time.Now())))
	must(t, h.Beat(ctx, executor("billing", "b:1", "b", time.Now())))
	must(t, h.raw.ZIncrBy(ctx, h.key("beats:{billing}"), -5000, "a:1").Err())

	alive, err := h.Executors(ctx, []string{"billing"}, 4*time.Second)
	must(t, err)
	if len(alive) != 1 || alive[0].Address != "b:1" {
		t.Errorf("within 4s: %v, want b:1 only", alive)
	}
	alive, err = h.Executors(ctx, []string{"billing"}, time.Minute)
	must(t, err)
	if len(alive) != 2 || alive[0].Age < 5*time.Second {
		t.Errorf("within 1m: %v, want a:1, 5s old, and b:1", alive)
	}
	must(t, h.raw.Del(ctx, h.key("executor:{billing}:b:1")).Err())
	if got := h.executors(t, "billing"); len(got) != 1 {
		t.Errorf("after the hash of b:1 was gone: %v, want a:1 only", got)
	}
}

func lateBeat(t *testing.T, h harness) {
	ctx := t.Context()
	older := executor("billing", "a:1", "old", time.Now().Add(-time.Second))
	newer := executor("billing", "a:1", "new", time.Now())
	must(t, h.Beat(ctx, older))
	must(t, h.Beat(ctx, newer))
	must(t, h.Beat(ctx, older))
	newer.Running = 7
	must(t, h.Beat(ctx, newer))
	must(t, h.Beat(ctx, older))
	if diff := cmp.Diff([]firjob.Executor{newer}, h.executors(t, "billing"), bare); diff != "" {
		t.Errorf("executors (-want +got):\n%s", diff)
	}
}

// An executor that restarts on a machine whose clock was set back is not locked
// out for longer than its former self takes to be gone.
func lateBeatOfSilent(t *testing.T, h harness) {
	ctx := t.Context()
	older := executor("billing", "a:1", "old", time.Now().Add(-time.Hour))
	must(t, h.Beat(ctx, executor("billing", "a:1", "new", time.Now())))
	silent := time.Now().Add(-firjob.DeadAfter).UnixMilli()
	must(t, h.raw.HSet(ctx, h.key("executor:{billing}:a:1"), "last_beat", silent).Err())
	must(t, h.Beat(ctx, older))
	if diff := cmp.Diff([]firjob.Executor{older}, h.executors(t, "billing"), bare); diff != "" {
		t.Errorf("executors (-want +got):\n%s", diff)
	}
}

func leave(t *testing.T, h harness) {
	ctx := t.Context()
	e := executor("billing", "a:1", "new", time.Now())
	must(t, h.Beat(ctx, e))
	must(t, h.Leave(ctx, firjob.ExecutorKey{App: "billing", Address: "a:1", Incarnation: "old"}))
	if got := h.executors(t, "billing"); len(got) != 1 {
		t.Errorf("another incarnation's Leave left %v, want the new one", got)
	}
	must(t, h.Leave(ctx, e.Key()))
	must(t, h.Leave(ctx, e.Key()))
	if n := h.raw.Exists(ctx, h.key("beats:{billing}"), h.key("executor:{billing}:a:1")).Val(); n != 0 {
		t.Errorf("%d keys are left after Leave", n)
	}
}

func forgottenLeave(t *testing.T, h harness) {
	ctx := t.Context()
	for i := range 20 {
		old := redis.Z{Score: float64(time.Now().Add(-61 * time.Minute).UnixMilli()), Member: fmt.Sprintf("old:%d", i)}
		must(t, h.raw.ZAdd(ctx, h.key("beats:{billing}"), old).Err())
	}
	for _, want := range []int64{4 + 1, 1} {
		must(t, h.Beat(ctx, executor("billing", "a:1", "a", time.Now())))
		if got := h.raw.ZCard(ctx, h.key("beats:{billing}")).Val(); got != want {
			t.Errorf("%d addresses after a beat, want %d", got, want)
		}
	}
}

func strangeExecutors(t *testing.T, h harness) {
	ctx := t.Context()
	good := executor("billing", "good:1", "a", time.Now())
	must(t, h.Beat(ctx, good))
	for field, value := range map[string]string{"capacity": "many", "state": "odd", "incarnation": "", "started_at": "noon", "labels": "[1]"} {
		must(t, h.Beat(ctx, executor("billing", field, "a", time.Now())))
		must(t, h.raw.HSet(ctx, h.key("executor:{billing}:"+field), field, value).Err())
	}
	for range 2 {
		if diff := cmp.Diff([]firjob.Executor{good}, h.executors(t, "billing"), bare); diff != "" {
			t.Errorf("executors (-want +got):\n%s", diff)
		}
	}
	if n := h.raw.ZCard(ctx, h.key("beats:{billing}")).Val(); n != 1 {
		t.Errorf("%d addresses, want the strange ones removed", n)
	}
}

// An executor that another program, or an old server, writes in a way that
// cannot be read is removed whenever it is met, hash and all, and told once. It
// is there again after a beat of ours.
func strangeExecutorsTold(t *testing.T, h harness) {
	ctx := t.Context()
	e := executor("billing", "a:1", "a", time.Now())
	for range 3 {
		must(t, h.Beat(ctx, e))
		must(t, h.raw.HSet(ctx, h.key("executor:{billing}:a:1"), "started_at", "12026-01-01T00:00:00.000Z").Err())
		if got := h.executors(t, "billing"); len(got) != 0 {
			t.Fatalf("executors %v, want none", got)
		}
		if n := h.raw.Exists(ctx, h.key("beats:{billing}"), h.key("executor:{billing}:a:1")).Val(); n != 0 {
			t.Fatalf("%d keys of the strange executor are left", n)
		}
	}
	log := h.logged.String()
	if strings.Count(log, "\n") != 1 || !strings.Contains(log, "first=a:1") || !strings.Contains(log, "12026-01-01") || strings.Contains(log, "error=") {
		t.Errorf("logged %q, want one line with the address and the reason, and no error", log)
	}
	must(t, h.Beat(ctx, e))
	if diff := cmp.Diff([]firjob.Executor{e}, h.executors(t, "billing"), bare); diff != "" {
		t.Errorf("executors after a beat of ours (-want +got):\n%s", diff)
	}
}

// A clock that is off by thousands of years keeps no executor out.
func absurdStarts(t *testing.T, h harness) {
	ctx := t.Context()
	for start, want := range map[time.Time]time.Time{
		time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC): time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		time.Date(-500, 1, 1, 0, 0, 0, 0, time.UTC):  time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		e := executor("billing", fmt.Sprint("a:", start.Year()), "a", start)
		must(t, h.Beat(ctx, e))
		e.StartedAt = want
		if got := h.executors(t, "billing"); !slices.ContainsFunc(got, func(g firjob.Executor) bool { return cmp.Equal(e, g, bare) }) {
			t.Errorf("started in the year %d: executors %v, want %v among them", start.Year(), got, e)
		}
	}
}

func appChecked(t *testing.T, h harness) {
	ctx := t.Context()
	for _, app := range []string{"", "a}b", "A", "a b"} {
		if err := h.Beat(ctx, executor(app, "a:1", "a", time.Now())); err == nil {
			t.Errorf("beat of app %q: no error", app)
		}
		if err := h.Leave(ctx, firjob.ExecutorKey{App: app}); err == nil {
			t.Errorf("leave of app %q: no error", app)
		}
		if _, err := h.Executors(ctx, []string{app}, time.Minute); err == nil {
			t.Errorf("executors of app %q: no error", app)
		}
	}
}

func replicas(t *testing.T, h harness) {
	ctx := t.Context()
	beat := func(replica string, wantLive, wantGone []string) {
		t.Helper()
		live, gone, _, err := h.BeatReplica(ctx, replica, time.Minute, time.Second)
		must(t, err)
		if !slices.Equal(live, wantLive) || !slices.Equal(gone, wantGone) {
			t.Errorf("live %v, gone %v; want %v, %v", live, gone, wantLive, wantGone)
		}
	}
	beat("r2", []string{"r2"}, nil)
	beat("r1", []string{"r1", "r2"}, nil)
	must(t, h.raw.ZIncrBy(ctx, h.key("replicas"), -61_000, "r2").Err())
	beat("r1", []string{"r1"}, []string{"r2"})
	beat("r1", []string{"r1"}, []string{"r2"})
	must(t, h.ForgetReplica(ctx, "r2"))
	must(t, h.ForgetReplica(ctx, "r2"))
	beat("r1", []string{"r1"}, nil)
	beat("r2", []string{"r1", "r2"}, nil)
}

// Of those who do not beat it is told at once whose line was open and has ended; if
// it has not, or there never was one, only the longer time tells.
func replicaLines(t *testing.T, h harness) {
	ctx := t.Context()
	lines := func(replica string) int64 {
		n, err := h.raw.Publish(ctx, h.key("line:{"+h.key("replicas")+"}:"+replica), "are you there").Result()
		must(t, err)
		return n
	}
	hold := func(replica string) (end func()) {
		ctx, end := context.WithCancel(ctx)
		h.HoldLine(ctx, replica)
		await(t, "the line of "+replica, func() bool { return lines(replica) == 1 })
		return end
	}
	missed := func() (gone, ended []string) {
		_, gone, ended, err := h.BeatReplica(ctx, "r1", time.Minute, time.Second)
		must(t, err)
		return gone, ended
	}
	killed, slow := hold("killed"), hold("slow")
	defer slow()
	beats := func(replica string) (open bool) {
		_, _, _, err := h.BeatReplica(ctx, replica, time.Minute, time.Second)
		must(t, err)
		score, err := h.raw.ZScore(ctx, h.key("replicas"), replica).Result()
		must(t, err)
		return score != math.Trunc(score)
	}
	for _, replica := range []string{"killed", "slow"} { // a client may connect again meanwhile
		await(t, "a beat of "+replica+" with its line open", func() bool { return beats(replica) })
	}
	if beats("without") {
		t.Error("a beat without a line counts as one with a line")
	}
	defer hold("without")() // after its latest beat
	killed()
	await(t, "the end of the line", func() bool { return lines("killed") == 0 })
	if gone, ended := missed(); len(gone)+len(ended) != 0 {
		t.Errorf("right after a beat gone %v, ended %v", gone, ended)
	}
	age := func(d time.Duration) {
		for _, replica := range []string{"killed", "slow", "without"} {
			must(t, h.raw.ZIncrBy(ctx, h.key("replicas"), -float64(d.Milliseconds()), replica).Err())
		}
	}
	age(2 * time.Second)
	if gone, ended := missed(); len(gone) != 0 || !slices.Equal(ended, []string{"killed"}) {
		t.Errorf("without a beat for two seconds gone %v, ended %v; want none, killed", gone, ended)
	}
	age(time.Minute)
	if gone, ended := missed(); !slices.Equal(gone, []string{"killed", "slow", "without"}) || len(ended) != 0 {
		t.Errorf("without a beat for a minute gone %v, ended %v; want all three, none", gone, ended)
	}
}
