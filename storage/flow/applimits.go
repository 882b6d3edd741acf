package flow

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/storage/pg"
	"github.com/firjob/firjob/storage/scan"
)

// An app with limits (firjob.AppLimits) has a row of app_usage, its gate. Who
// starts holds a place in app_slots until the attempt ends, and has taken a token
// of a bucket that fills with time. Who may not start waits in app_queue, the best
// rank first; a newcomer does not overtake. The gate's lock is held from the
// decision to the commit, and a place is given back before it is asked for, so
// that no place stays free while somebody waits for it.
//
// What was claimed and given back unsent keeps its place, and needs no second
// token: the next claim lets it through.

// gate is a limited app, locked by this transaction.
type gate struct {
	app        string
	limits     firjob.AppLimits
	running    int // places taken; counted only where max_running matters
	tokens     float64
	refilledAt time.Time
	now        time.Time // of the store, after the lock was had
	more       bool      // others wait, whom one look did not reach
}

func ScanGate(row pgx.CollectableRow) (*gate, error) {
	g := &gate{}
	err := row.Scan(&g.app, &g.limits.MaxRunning, &g.limits.MaxPerSecond, &g.tokens, &g.refilledAt, &g.now, &g.running)
	g.refill()
	return g, err
}

// refill adds the tokens of the time that has passed, up to one second's worth,
// or one.
func (g *gate) refill() {
	passed := max(0, g.now.Sub(g.refilledAt))
	g.tokens = min(g.burst(), g.tokens+passed.Seconds()*g.limits.MaxPerSecond)
	g.refilledAt = g.refilledAt.Add(passed)
}

func (g *gate) burst() float64 { return max(1, g.limits.MaxPerSecond) }

// tokenDust makes up for what sums of fractions lack of a whole.
const tokenDust = 1e-6

// room returns how many may start now.
func (g *gate) room() int {
	room := math.MaxInt32
	if g.limits.MaxRunning > 0 {
		room = max(0, g.limits.MaxRunning-g.running)
	}
	if g.limits.MaxPerSecond > 0 {
		room = min(room, int(max(0, g.tokens+tokenDust)))
	}
	return room
}

// enter takes a place and a token.
func (g *gate) enter() {
	g.running++
	if g.limits.MaxPerSecond > 0 {
		g.tokens--
	}
}

// waits is the reason of those who do not get in.
func (g *gate) waits() string {
	switch {
	case g.Full():
		return fmt.Sprintf("waits for a place in app %s (max_running %d)", g.app, g.limits.MaxRunning)
	case g.limits.MaxPerSecond > 0:
		return fmt.Sprintf("waits for a place in app %s (max_per_second %v)", g.app, g.limits.MaxPerSecond)
	}
	return fmt.Sprintf("waits for others to enter app %s first", g.app)
}

func (g *gate) Full() bool { return g.limits.MaxRunning > 0 && g.running >= g.limits.MaxRunning }

// next returns how long it takes until time alone lets somebody in; never is a
// long time.
func (g *gate) next() time.Duration {
	switch {
	case g.more:
		return 0
	case g.Full() || g.limits.MaxPerSecond == 0:
		return never
	}
	return time.Duration(min(never.Seconds(), max(0, 1-g.tokens)/g.limits.MaxPerSecond) * float64(time.Second))
}

const never = time.Hour

// Queued is an execution that waits, or is about to.
type Queued struct {
	ID   firjob.ExecutionID
	Rank int64
}

func ByRank(a, b Queued) int {
	return cmp.Or(cmp.Compare(a.Rank, b.Rank), pg.CompareIDs(a.ID, b.ID))
}

// RankOf is the rank of an execution among those that wait. The fires of a
// backfill lie in the past, and would go before all others: they count from when
// they were to be sent.
func RankOf(id firjob.ExecutionID, dueAt time.Time, priority int) int64 {
	if id.Kind() == firjob.KindBackfill {
		return firjob.Rank(dueAt, priority)
	}
	return firjob.Rank(id.ScheduledAt(), priority)
}

// enterApps lets the executions that have their job's leave claim a place in
// their apps, or makes them wait for one.
func enterApps(ctx context.Context, tx pgx.Tx, d *claims) error {
	newcomers := map[string][]Queued{}
	for _, c := range d.enter {
		if c.holdsApp || !c.needsApp() {
			d.claim = append(d.claim, c.id)
			continue
		}
		newcomers[c.job.App] = append(newcomers[c.job.App], Queued{c.id, RankOf(c.id, c.dueAt, c.job.Priority)})
	}
	gates, err := lockGates(ctx, tx, d.apps())
	if err != nil {
		return err
	}
	for _, g := range gates {
		if err := d.pass(ctx, tx, g, newcomers[g.app]); err != nil {
			return err
		}
	}
	return nil
}

// apps returns the apps whose gates this claim may have to do with: also those of
// executions that end. All are locked at once, in the one order that there is.
func (d *claims) apps() []string {
	var apps []string
	for _, c := range d.touched {
		if (c.limited || c.holdsApp) && !slices.Contains(apps, c.job.App) {
			apps = append(apps, c.job.App)
		}
	}
	return apps
}

// pass takes newcomers through a gate, and those that wait before them.
func (d *claims) pass(ctx context.Context, tx pgx.Tx, g *gate, newcomers []Queued) error {
	slices.SortFunc(newcomers, ByRank)
	in, err := g.open(ctx, tx, newcomers, &d.followed)
	if err != nil {
		return err
	}
	for _, q := range newcomers[:in] {
		d.claim = append(d.claim, q.ID)
	}
	for _, q := range newcomers[in:] {
		d.queue(q.ID, g.waits())
		d.followed.Admit = true
	}
	return park(ctx, tx, g.app, newcomers[in:])
}

// leaveApps gives back the places that executions hold in limited apps, and
// lets those in that wait.
func leaveApps(ctx context.Context, tx pgx.Tx, list []ended, followed *ports.Followed) error {
	if len(list) == 0 {
		return nil
	}
	rows, _ := tx.Query(ctx, leaveAppsSQL, pg.UUIDs(idsOf(list)))
	apps, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	gates, err := lockGates(ctx, tx, apps)
	if err != nil {
		return err
	}
	for _, g := range gates {
		if _, err := g.open(ctx, tx, nil, followed); err != nil {
			return err
		}
	}
	return nil
}

const leaveAppsSQL = `WITH
		left_place AS (DELETE FROM app_slots WHERE execution_id = ANY($1::uuid[]) RETURNING app),
		left_queue AS (DELETE FROM app_queue WHERE execution_id = ANY($1::uuid[]) RETURNING app)
	SELECT app FROM left_place UNION SELECT app FROM left_queue`

// lockGates locks the gates of apps, which are made where there are none, in the
// order of their names, and then reads them.
func lockGates(ctx context.Context, tx pgx.Tx, apps []string) ([]*gate, error) {
	if len(apps) == 0 {
		return nil, nil
	}
	slices.Sort(apps)
	if _, err := tx.Exec(ctx, lockGatesSQL, apps); err != nil {
		return nil, err
	}
	return readGates(ctx, tx, apps)
}

func readGates(ctx context.Context, tx pgx.Tx, apps []string) ([]*gate, error) {
	rows, _ := tx.Query(ctx, ReadGatesSQL, apps)
	return pgx.CollectRows(rows, ScanGate)
}

const (
	// The update changes nothing: it locks.
	lockGatesSQL = `INSERT INTO app_usage AS u (app, tokens, refilled_at)
		SELECT v.app, 'infinity', clock_timestamp() FROM unnest($1::text[]) AS v(app)
		ON CONFLICT (app) DO UPDATE SET tokens = u.tokens`
	ReadGatesSQL = `SELECT a.name, a.max_running, a.max_per_second, u.tokens, u.refilled_at, clock_timestamp(),
			CASE WHEN a.max_running > 0 THEN (SELECT count(*) FROM app_slots AS s WHERE s.app = a.name) ELSE 0 END
		FROM apps AS a, app_usage AS u
		WHERE a.name = ANY($1::text[]) AND u.app = ANY($1::text[]) AND u.app = a.name
		ORDER BY a.name`
)

const (
	// gateBatch bounds how many go through a gate in one transaction.
	gateBatch = firjob.MaxBatch
	// gateSpare is how many more are looked at, because some may be let go
	// without a place.
	gateSpare = 64
)

// open lets in who waits and who comes, both in the order of their ranks, as far
// as there is room, and returns how many of the newcomers that are. The caller
// claims these and parks the others.
func (g *gate) open(ctx context.Context, tx pgx.Tx, newcomers []Queued, followed *ports.Followed) (in int, err error) {
	line, stale, err := g.head(ctx, tx)
	if err != nil {
		return 0, err
	}
	followed.Admit = followed.Admit || g.more
	started, gone, in := g.admit(line, newcomers)
	places := slices.Clone(started)
	for _, q := range newcomers[:in] {
		places = append(places, q.ID)
	}
	if err := g.write(ctx, tx, places, slices.Concat(gone, stale)); err != nil {
		return 0, err
	}
	due, err := letWaitingIn(ctx, tx, append(started, gone...))
	followed.Announce = append(followed.Announce, due...)
	return in, err
}

// waiter is one who waits at the gate, locked.
type waiter struct {
	Queued
	// gone: it is past its start deadline, and for the claim to end.
	gone bool
}

// admit decides who gets in of those that wait and those that come.
func (g *gate) admit(line []waiter, newcomers []Queued) (started, gone []firjob.ExecutionID, in int) {
	for _, w := range line {
		for in < len(newcomers) && ByRank(newcomers[in], w.Queued) < 0 && g.room() > 0 {
			g.enter()
			in++
		}
		switch {
		case w.gone:
			gone = append(gone, w.ID)
		case g.room() > 0:
			g.enter()
			started = append(started, w.ID)
		default:
			return started, gone, in
		}
	}
	for !g.more && in < len(newcomers) && g.room() > 0 {
		g.enter()
		in++
	}
	return started, gone, in
}

// head locks and reads those that are next to be let in. What is planned no more
// has no business in the line.
func (g *gate) head(ctx context.Context, tx pgx.Tx) (list []waiter, stale []firjob.ExecutionID, err error) {
	look := min(g.room(), gateBatch)
	if look == 0 {
		return nil, nil, nil
	}
	look += gateSpare
	rows, _ := tx.Query(ctx, GateHeadSQL, g.app, look)
	line, err := pgx.CollectRows(rows, ScanQueued)
	if err != nil || len(line) == 0 {
		return nil, nil, err
	}
	found, err := g.lock(ctx, tx, line)
	for _, q := range line {
		switch w, locked := found[q.ID]; {
		case locked && w.planned:
			list = append(list, waiter{q, w.gone})
		case locked:
			stale = append(stale, q.ID)
		}
	}
	g.more = len(line) == look || len(found) < len(line)
	return list, stale, err
}

// standing is what became of an execution that waits at the gate.
type standing struct{ planned, gone bool }

// lock locks those in line, as far as they are free.
func (g *gate) lock(ctx context.Context, tx pgx.Tx, line []Queued) (map[firjob.ExecutionID]standing, error) {
	ids := make([]firjob.ExecutionID, len(line))
	for i, q := range line {
		ids[i] = q.ID
	}
	low, high := pg.Bounds(ids)
	rows, _ := tx.Query(ctx, lockQueuedSQL, pg.UUIDs(ids), low, high, pg.Numbers(pg.JobsOf(ids)))
	found := make(map[firjob.ExecutionID]standing, len(ids))
	var id firjob.ExecutionID
	var planned bool
	var attempt int
	var deadlineMS int64
	_, err := pgx.ForEachRow(rows, []any{(*[16]byte)(&id), &planned, &attempt, &deadlineMS}, func() error {
		found[id] = standing{planned, tooLate(id, attempt, scan.FromMillis(deadlineMS), g.now)}
		return nil
	})
	return found, err
}

const (
	GateHeadSQL   = `SELECT execution_id, rank FROM app_queue WHERE app = $1 ORDER BY rank, execution_id LIMIT $2`
	lockQueuedSQL = `SELECT e.id, e.state = 'planned', e.attempt, j.start_deadline_ms FROM executions AS e, jobs AS j
		WHERE e.id = ANY($1::uuid[]) AND e.id BETWEEN $2::uuid AND $3::uuid
			AND j.id = ANY($4::int[]) AND j.id = e.job_id
		FOR UPDATE OF e SKIP LOCKED`
)

func ScanQueued(row pgx.CollectableRow) (Queued, error) {
	var q Queued
	err := row.Scan((*[16]byte)(&q.ID), &q.Rank)
	return q, err
}

// write stores who has got a place and who waits no more.
func (g *gate) write(ctx context.Context, tx pgx.Tx, places, gone []firjob.ExecutionID) error {
	if len(places)+len(gone) == 0 {
		return nil
	}
	if _, err := tx.Exec(ctx, leaveQueueSQL, pg.UUIDs(slices.Concat(places, gone))); err != nil {
		return err
	}
	if len(places) == 0 {
		return nil
	}
	if _, err := tx.Exec(ctx, TakeAppSlotsSQL, pg.UUIDs(places), g.app); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, writeGateSQL, g.app, g.tokens, g.refilledAt)
	return err
}

const (
	leaveQueueSQL   = `DELETE FROM app_queue WHERE execution_id = ANY($1::uuid[])`
	TakeAppSlotsSQL = `INSERT INTO app_slots (execution_id, app) SELECT unnest($1::uuid[]), $2 ON CONFLICT DO NOTHING`
	writeGateSQL    = `UPDATE app_usage SET tokens = $2, refilled_at = $3 WHERE app = $1`
)

// park puts executions in line.
func park(ctx context.Context, tx pgx.Tx, app string, list []Queued) error {
	if len(list) == 0 {
		return nil
	}
	ids, ranks := make([]firjob.ExecutionID, len(list)), make([]int64, len(list))
	for i, q := range list {
		ids[i], ranks[i] = q.ID, q.Rank
	}
	_, err := tx.Exec(ctx, parkSQL, app, ranks, pg.UUIDs(ids))
	return err
}

const parkSQL = `INSERT INTO app_queue (app, rank, execution_id)
	SELECT $1, v.rank, v.id FROM unnest($2::bigint[], $3::uuid[]) AS v(rank, id)
	ON CONFLICT DO NOTHING`
