package chaos

import (
	"fmt"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/cluster"
	"github.com/firjob/firjob/lab/checker"
)

// definition is a job of the load.
type definition struct {
	body     map[string]any
	spec     checker.Spec // its first fire is in the answer
	children int          // generations of jobs that each run after the success of the one before
}

// rate is how many fires a second the job has.
func (d definition) rate() float64 {
	if d.spec.Every > 0 {
		return float64(time.Second) / float64(d.spec.Every)
	}
	return float64(len(d.spec.Seconds)) / 60
}

// with adds members to the body.
func (d definition) with(members map[string]any) definition {
	for name, value := range members {
		d.body[name] = value
	}
	return d
}

// parenting has generations of jobs follow each success.
func (d definition) parenting(generations int) definition {
	d.children = generations
	return d
}

// every is a job that fires each interval and runs all fires, the late ones, too.
func every(interval time.Duration, handler string, params any) definition {
	return definition{
		body: map[string]any{
			"app": cluster.App, "handler": handler, "params": params,
			"schedule": map[string]any{"kind": "every", "interval": interval.String()},
			"misfire":  map[string]any{"policy": firjob.MisfireFireAll},
		},
		spec: checker.Spec{Every: interval, Misfire: firjob.MisfireFireAll},
	}
}

// pattern is a cron expression and the seconds of each minute that it names, the
// one written down apart from the other.
type pattern struct {
	expr    string
	seconds []int
}

func patterns() []pattern {
	return []pattern{
		{"* * * * * *", steps(0, 1)},
		{"*/2 * * * * *", steps(0, 2)},
		{"1-59/2 * * * * *", steps(1, 2)},
		{"*/3 * * * * *", steps(0, 3)},
		{"2/4 * * * * *", steps(2, 4)},
	}
}

// steps are the seconds first, first + by, … of a minute.
func steps(first, by int) (seconds []int) {
	for s := first; s < 60; s += by {
		seconds = append(seconds, s)
	}
	return seconds
}

// cron is a job that fires at the seconds of a pattern.
func cron(p pattern, handler string) definition {
	d := every(time.Second, handler,
		nil).with(map[string]any{"schedule": map[string]any{"kind": "cron", "expr": p.expr}})
	d.spec.Every, d.spec.Seconds = 0, p.seconds
	return d
}

// sleeping are the params of the handler sleep.
func sleeping(d time.Duration) any { return map[string]any{"for": d.String()} }

// special are the jobs with policies of their own, by name.
func special() map[string]definition {
	skip := every(500*time.Millisecond, "sleep",
		sleeping(700*time.Millisecond)).with(map[string]any{"overlap": firjob.OverlapSkip})
	skip.spec.Overlap, skip.spec.MaxRunning = firjob.OverlapSkip, 1
	one := every(time.Second, "sleep",
		sleeping(300*time.Millisecond)).with(map[string]any{"overlap": firjob.OverlapQueue})
	one.spec.Overlap, one.spec.MaxRunning = firjob.OverlapQueue, 1
	two := every(500*time.Millisecond, "sleep",
		sleeping(400*time.Millisecond)).with(map[string]any{"overlap": firjob.OverlapQueue, "max_running": 2})
	two.spec.Overlap, two.spec.MaxRunning = firjob.OverlapQueue, 2
	once := every(500*time.Millisecond, "sleep",
		sleeping(200*time.Millisecond)).with(map[string]any{"delivery": firjob.AtMostOnce})
	once.spec.AtMostOnce = true
	latest := every(200*time.Millisecond, "noop",
		nil).with(map[string]any{"misfire": map[string]any{"policy": firjob.MisfireFireOnce, "grace": "2s"}})
	latest.spec.Misfire = firjob.MisfireFireOnce
	exclusive := every(time.Second, "sleep",
		sleeping(300*time.Millisecond)).with(map[string]any{"exclusive": true, "overlap": firjob.OverlapQueue})
	exclusive.spec.Overlap, exclusive.spec.MaxRunning = firjob.OverlapQueue, 1
	return map[string]definition{
		"skip": skip, "one-at-a-time": one, "two-at-a-time": two, "at-most-once": once, "fire-once": latest,
		"exclusive": exclusive,
		"ledger-1":  every(500*time.Millisecond, "ledger", sleeping(100*time.Millisecond)),
		"ledger-2":  every(500*time.Millisecond, "ledger", sleeping(800*time.Millisecond)),
		"each":      cron(patterns()[0], "noop"),
		"third":     cron(patterns()[3], "noop"),
		"parent":    every(time.Second, "noop", nil).parenting(1),
	}
}

// plain are jobs without policies that add up to about rate fires a second, by
// name: a quarter of them each with four intervals.
func plain(rate float64) map[string]definition {
	all := map[string]definition{}
	for _, interval := range []time.Duration{200 * time.Millisecond, 500 * time.Millisecond, time.Second,
		2 * time.Second} {
		handler, params := "noop", any(nil)
		if interval == 2*time.Second {
			handler, params = "sleep", sleeping(50*time.Millisecond)
		}
		for i := range max(1, int(rate/4*interval.Seconds())) {
			all[fmt.Sprintf("plain-%v-%d", interval, i)] = every(interval, handler, params)
		}
	}
	return all
}
