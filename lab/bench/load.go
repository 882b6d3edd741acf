package bench

import (
	"context"
	"fmt"
	"math/bits"
	"time"

	"github.com/firjob/firjob"
)

// load is a set of jobs that each fire every interval from their own first fire on.
type load struct {
	name, handler string
	params        any
	interval      time.Duration
	lasts         time.Duration // from the start; 0: for ever
	start, end    time.Time     // no fire before the one, nor at the other or after it; end is zero if there is none
	whole         time.Time     // when all jobs fire: at the start, or later if the making took long
	jobs          []firing
}

// firing is a job and its first fire, from which all others follow.
type firing struct {
	id    firjob.JobID
	first time.Time
}

// jobsFor is how many jobs that fire every interval make rate executions a second.
func jobsFor(rate int, interval time.Duration) int {
	return max(1, int(float64(rate)*interval.Seconds()))
}

// golden is 2^64 divided by the golden ratio.
const golden = 0x9E3779B97F4A7C15

// offset is how long after the load's start the i-th job fires first: the fraction
// of i golden ratios, of the interval. So the fires of the first n jobs lie evenly
// for every n, no two of them further apart than twice the mean (Fibonacci hashing;
// Knuth, The Art of Computer Programming, volume 3, 6.4, theorem S).
func offset(i int, interval time.Duration) time.Duration {
	part, _ := bits.Mul64(uint64(i)*golden, uint64(interval))
	return time.Duration(part).Truncate(time.Millisecond)
}

// firstJob and lastJob bound the numbers of the set's jobs.
func (l *load) firstJob() firjob.JobID { return l.jobs[0].id }
func (l *load) lastJob() firjob.JobID  { return l.jobs[len(l.jobs)-1].id }

// expected counts the fires of a span from the jobs' first fires alone, apart
// from all that the scheduler computes.
func (l *load) expected(from, until time.Time) (n int64) {
	from, until = l.within(from), l.within(until)
	for _, j := range l.jobs {
		n += firesBefore(j.first, until, l.interval) - firesBefore(j.first, from, l.interval)
	}
	return n
}

// within returns t, or the load's end if that is earlier.
func (l *load) within(t time.Time) time.Time {
	if !l.end.IsZero() && l.end.Before(t) {
		return l.end
	}
	return t
}

// firesBefore counts first + k·interval < t, k ≥ 0.
func firesBefore(first, t time.Time, interval time.Duration) int64 {
	if !first.Before(t) {
		return 0
	}
	return int64((t.Sub(first)-1)/interval) + 1
}

// Of the time that the jobs of a load are made in.
const (
	makingAtLeast = time.Second
	madeEach      = time.Second / 4000 // a job of a batch, on a machine that is at work
)

// lead is how long before its start the making of a load of n jobs begins. A horizon
// before the start nothing is made any more: what is nearer the server plans at once,
// within the request (4,500 jobs took 11 s so, on a busy machine), and not by scans.
func (o Options) lead(n int) time.Duration {
	return o.Horizon + makingAtLeast + time.Duration(n)*madeEach
}

// raise makes the n jobs of a load by batches. The load begins when they are made,
// and not before the instant that is given.
func (s *stage) raise(ctx context.Context, l *load, n int, earliest time.Time) error {
	l.start = later(time.Now().Add(s.o.lead(n)), earliest).Truncate(time.Millisecond).UTC()
	if l.lasts > 0 {
		l.end = l.start.Add(l.lasts)
	}
	s.o.say("making %d jobs that fire every %v, the first in %v", n, l.interval,
		time.Until(l.start).Round(100*time.Millisecond))
	jobs, err := s.createMany(ctx, n, l.body)
	if err != nil {
		return err
	}
	made := time.Now()
	for i, j := range jobs {
		first, err := l.firstFire(i, j, made)
		if err != nil {
			return err
		}
		l.jobs = append(l.jobs, firing{j.ID, first})
	}
	late := made.Sub(l.start)
	if l.lasts > 0 && late > s.o.Horizon {
		return fmt.Errorf("making %d jobs took %v longer than there was time: the load would end within the span "+
			"that is measured; this machine is too busy", n, late.Round(time.Second))
	}
	if late > 0 {
		s.o.say("making them took %v longer than there was time: the load begins so much later",
			late.Round(100*time.Millisecond))
	}
	l.whole = later(l.start, made)
	return nil
}

// body is the i-th job.
func (l *load) body(i int) newJob {
	body := job(fmt.Sprintf("%s-%d", l.name, i), l.handler, newSchedule{Kind: firjob.ScheduleEvery,
		Interval: firjob.Duration(l.interval), StartAt: l.start.Add(offset(i, l.interval)), EndAt: l.end})
	body.Params = l.params
	return body
}

// firstFire is when the i-th job fires first: at the start that was asked for or, if
// that had passed before the job was made, a number of intervals later, as the
// server says. An answer that is none of this is an error.
func (l *load) firstFire(i int, j madeJob, made time.Time) (time.Time, error) {
	wanted := l.start.Add(offset(i, l.interval))
	if j.NextFireAt == nil {
		return wanted, fmt.Errorf("the server gave job %d no next fire, but it was to start at %v", j.ID, wanted)
	}
	late := j.NextFireAt.Sub(wanted)
	if late == 0 || late > 0 && late%l.interval == 0 && !j.NextFireAt.Add(-l.interval).After(made) {
		return *j.NextFireAt, nil
	}
	return wanted, fmt.Errorf(
		"job %d was to start at %v and then to fire every %v; when it was made, at %v, the server gave its next "+
			"fire as %v",
		j.ID, wanted, l.interval, made, *j.NextFireAt)
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
