package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/firjob/firjob/scripts/peers/judge"
)

// killScheduler is E1. Each time it kills the scheduler that leads, or, where none
// does, one after the other, at a random moment of the second before a fire, and
// starts it again.
func killScheduler(ctx context.Context, t *trial) (o outcome, err error) {
	from, err := t.warm(ctx)
	if err != nil {
		return o, err
	}
	fire := from.Truncate(5 * time.Second).Add(10 * time.Second)
	for i := range t.kills {
		if !until(ctx, fire.Add(-time.Duration(rand.Int64N(int64(time.Second))))) {
			return o, context.Cause(ctx)
		}
		if err := t.killOne(ctx, i); err != nil {
			return o, err
		}
		fire = fire.Add(t.spacing)
	}
	end := fire.Add(-t.spacing + 20*time.Second)
	if !until(ctx, end.Add(2*time.Second)) {
		return o, context.Cause(ctx)
	}
	o, err = t.settle(ctx, targetsOf(t.ticks, from, end), time.Time{})
	o.Note = fmt.Sprintf("%d kills", t.kills)
	return o, err
}

func (t *trial) killOne(ctx context.Context, turn int) error {
	victim, err := t.system.leader(ctx)
	if err != nil {
		return err
	}
	if victim == nil {
		all := t.system.schedulers()
		victim = all[turn%len(all)]
	}
	return t.again(ctx, victim)
}

// again kills a process and starts it anew.
func (t *trial) again(ctx context.Context, m member) error {
	if err := m.Kill(); err != nil {
		return err
	}
	if !passed(ctx, t.restart) {
		return context.Cause(ctx)
	}
	return m.Start()
}

// until waits for a moment and reports whether ctx still goes on.
func until(ctx context.Context, at time.Time) bool { return passed(ctx, time.Until(at)) }

// store is what can be stalled.
type store interface {
	Pause() error
	Resume() error
}

func stallPostgres(ctx context.Context, t *trial) (outcome, error) {
	return stallStore(ctx, t, t.rig.postgres)
}

func stallRedis(ctx context.Context, t *trial) (outcome, error) {
	return stallStore(ctx, t, t.rig.redis)
}

// stallStore is E2: the store's processes stop in their tracks, and go on.
func stallStore(ctx context.Context, t *trial, s store) (o outcome, err error) {
	from, err := t.warm(ctx)
	if err != nil {
		return o, err
	}
	if !until(ctx, from.Add(5*time.Second)) {
		return o, context.Cause(ctx)
	}
	fault := time.Now()
	if err := s.Pause(); err != nil {
		return o, err
	}
	passed(ctx, t.stall)
	if err := s.Resume(); err != nil {
		return o, err
	}
	end := fault.Add(t.stall + 30*time.Second).Truncate(time.Second)
	if !until(ctx, end.Add(2*time.Second)) {
		return o, context.Cause(ctx)
	}
	o, err = t.settle(ctx, targetsOf(t.ticks, from, end), fault)
	o.Note = fmt.Sprintf("stalled %v", t.stall)
	return o, err
}

// burstAfter is how long the burst is away at least, which leaves time to make
// its jobs and for a leader to be elected.
const burstAfter = 40 * time.Second

func burstTicks(s settings, now time.Time) []tick {
	at := now.Add(burstAfter + time.Minute).UTC().Truncate(time.Minute)
	return append(everySeconds(5), burst(s.jobs, at)...)
}

// oneInstant is E3. The ticks show that the system was up before.
func oneInstant(ctx context.Context, t *trial) (o outcome, err error) {
	if _, err := t.warm(ctx); err != nil {
		return o, err
	}
	ticks := slices.DeleteFunc(slices.Clone(t.ticks), func(t tick) bool { return !t.Daily })
	at := ticks[0].At
	if time.Until(at) < 3*time.Second {
		return o, fmt.Errorf("it was up only %v before the instant", time.Until(at))
	}
	if !until(ctx, at.Add(15*time.Second)) {
		return o, context.Cause(ctx)
	}
	o, err = t.settle(ctx, targetsOf(ticks, at, at.Add(time.Second)), at)
	o.Note = fmt.Sprintf("%d schedulers", len(t.system.schedulers()))
	return o, err
}

// flushAll is E4: periodic jobs go on, tasks wait for their time, and Redis
// loses all that it holds.
func flushAll(ctx context.Context, t *trial) (o outcome, err error) {
	from, err := t.warm(ctx)
	if err != nil {
		return o, err
	}
	waiting := tasks("waiting", t.flushed, time.Now().Add(15*time.Second).Truncate(time.Second), 0)
	if _, err := t.system.submit(ctx, waiting); err != nil {
		return o, err
	}
	if !passed(ctx, 5*time.Second) {
		return o, context.Cause(ctx)
	}
	fault := time.Now()
	if err := flush(ctx, t.rig.redisURL()); err != nil {
		return o, err
	}
	end := fault.Add(40 * time.Second).Truncate(time.Second)
	if !until(ctx, end.Add(2*time.Second)) {
		return o, context.Cause(ctx)
	}
	targets := append(targetsOf(t.ticks, from, end), targetsOfTasks(waiting, fault)...)
	o, err = t.settle(ctx, targets, fault)
	o.Note = fmt.Sprintf("%d delayed tasks waited", len(waiting))
	return o, err
}

func flush(ctx context.Context, url string) error {
	opt, err := redis.ParseURL(url)
	if err != nil {
		return err
	}
	client := redis.NewClient(opt)
	defer client.Close()
	return client.FlushAll(ctx).Err()
}

// inFlightWork is how long the handlers take that E5 and E7 interrupt.
const inFlightWork = 8 * time.Second

// running submits tasks and waits until their handlers are at work.
func (t *trial) running(ctx context.Context) (list []task, submitted time.Time, err error) {
	if err := t.warmByTask(ctx); err != nil {
		return nil, submitted, err
	}
	submitted = time.Now()
	list = tasks("running", t.inFlight, time.Time{}, inFlightWork)
	if _, err := t.system.submit(ctx, list); err != nil {
		return nil, submitted, err
	}
	isOne := func(l judge.Line) bool { return l.Key != "warm-up" }
	err = t.rig.started(ctx, bootPatience, len(list), isOne)
	return list, submitted, err
}

// stopWorker is E5: the worker that runs most stops in its tracks until what it
// ran has begun again elsewhere, and then goes on, half way through its handlers.
func stopWorker(ctx context.Context, t *trial) (o outcome, err error) {
	list, submitted, err := t.running(ctx)
	if err != nil {
		return o, err
	}
	victim, held, err := t.busiest()
	if err != nil {
		return o, err
	}
	fault := time.Now()
	if err := victim.Pause(); err != nil {
		return o, err
	}
	err = await(ctx, t.patience, "what the stopped worker ran begins again",
		func() (bool, error) { return t.begunAgain(held) })
	note := fmt.Sprintf("%d tasks held, stopped for %.0f s", len(held), time.Since(fault).Seconds())
	if err := errors.Join(victim.Resume(), ctx.Err()); err != nil {
		return o, err
	}
	if err != nil {
		note += ", nothing or not all began again"
	}
	if !passed(ctx, 2*inFlightWork) {
		return o, context.Cause(ctx)
	}
	o, err = t.settle(ctx, targetsOfTasks(list, submitted), fault)
	o.Note = note
	return o, err
}

// busiest is the worker whose handlers are at work on most tasks, and these.
func (t *trial) busiest() (victim member, held []string, err error) {
	lines, err := t.rig.lines()
	if err != nil {
		return nil, nil, err
	}
	keys := make(map[int][]string)
	for _, l := range lines {
		if l.Event == judge.Start && l.Key != "warm-up" {
			keys[l.PID] = append(keys[l.PID], l.Key)
		}
	}
	for _, w := range t.system.workers() {
		if len(keys[w.PID()]) > len(held) {
			victim, held = w, keys[w.PID()]
		}
	}
	if victim == nil {
		return nil, nil, errors.New("no worker is at work")
	}
	return victim, held, nil
}

// begunAgain reports whether each key has been started twice.
func (t *trial) begunAgain(keys []string) (bool, error) {
	lines, err := t.rig.lines()
	if err != nil {
		return false, err
	}
	starts := make(map[string]int)
	for _, l := range lines {
		if l.Event == judge.Start {
			starts[l.Key]++
		}
	}
	return !slices.ContainsFunc(keys, func(key string) bool { return starts[key] < 2 }), nil
}

// killAfterResult is E6: as soon as the system says that a task has succeeded, the
// processes that took its result and the store that holds it are killed, and
// started again. A result that is forgotten, or a task that runs again, counts.
func killAfterResult(ctx context.Context, t *trial) (o outcome, err error) {
	if err := t.warmByTask(ctx); err != nil {
		return o, err
	}
	fault := time.Now()
	var all []task
	var ids []string
	for i := range t.rounds {
		one, id, err := t.untilDone(ctx, fmt.Sprintf("round-%02d", i))
		if err != nil {
			return o, err
		}
		if err := t.killWhatAnswers(ctx); err != nil {
			return o, err
		}
		all, ids = append(all, one), append(ids, id)
	}
	if !passed(ctx, 20*time.Second) {
		return o, context.Cause(ctx)
	}
	if o, err = t.settle(ctx, targetsOfTasks(all, fault), fault); err != nil {
		return o, err
	}
	forgotten := 0
	for _, id := range ids {
		if ok, err := t.system.done(ctx, id); err != nil || !ok {
			forgotten++
		}
	}
	o.Missed += forgotten
	o.Note = fmt.Sprintf("%d results acknowledged, %d forgotten", len(ids), forgotten)
	return o, nil
}

// untilDone submits a task and returns once the system says that it has succeeded.
// While the system has not come back yet it submits again, by another name, since
// a task whose submission failed may be there all the same.
func (t *trial) untilDone(ctx context.Context, name string) (one task, id string, err error) {
	try := 0
	err = await(ctx, bootPatience, "the system takes a task", func() (bool, error) {
		try++
		one = task{Key: fmt.Sprintf("%s-%d", name, try)}
		ids, err := t.system.submit(ctx, []task{one})
		if err != nil {
			return false, nil // not back yet
		}
		id, one.Due = ids[0], time.Now() // it was due at once; from here on this is what its start is compared with
		return true, nil
	})
	if err != nil {
		return one, "", err
	}
	return one, id, await(ctx, bootPatience, "the task succeeds", func() (bool, error) {
		ok, err := t.system.done(ctx, id)
		return ok && err == nil, nil
	})
}

// killWhatAnswers kills, then starts again, what acknowledges results.
func (t *trial) killWhatAnswers(ctx context.Context) error {
	var errs []error
	answering := t.system.answering()
	for _, m := range answering {
		errs = append(errs, m.Kill())
	}
	if t.rig.postgres != nil {
		errs = append(errs, t.rig.postgres.Kill(), t.rig.postgres.Restart(ctx))
	} else {
		errs = append(errs, t.rig.redis.Kill(), t.rig.redis.Restart(ctx))
	}
	for _, m := range answering {
		errs = append(errs, m.Start())
	}
	return errors.Join(errs...)
}

// restartWorker is E7: the only worker is killed while its handlers are at work,
// and started again with the same name and address.
func restartWorker(ctx context.Context, t *trial) (o outcome, err error) {
	list, submitted, err := t.running(ctx)
	if err != nil {
		return o, err
	}
	fault := time.Now()
	if err := t.again(ctx, t.system.workers()[0]); err != nil {
		return o, err
	}
	var held []string
	for _, one := range list {
		held = append(held, one.Key)
	}
	waited := await(ctx, t.patience, "what the killed worker ran begins again",
		func() (bool, error) { return t.begunAgain(held) })
	if !passed(ctx, 2*inFlightWork) {
		return o, context.Cause(ctx)
	}
	o, err = t.settle(ctx, targetsOfTasks(list, submitted), fault)
	o.Note = fmt.Sprintf("%d tasks were at work", len(held))
	if waited != nil {
		o.Note += fmt.Sprintf(", not all began again within %v", t.patience)
	}
	return o, err
}
