package httpapi_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/internal/timetable"
)

// memory is a Store that keeps everything in memory. It knows just enough of the
// rules to let the surface be seen; the real store is tested on its own.
type memory struct {
	recovery
	mu         sync.Mutex
	apps       map[string][]byte
	jobs       map[firjob.JobID]firjob.Job
	executions map[firjob.ExecutionID]firjob.Execution
	keys       map[string]firjob.ExecutionID
	calendars  []firjob.Calendar
	answers    map[string]ports.Answer // by key and operation, behind the fingerprint
	limited    map[string]firjob.App   // apps that were edited
	waiters    []ports.Waiter          // of every queue
	waiting    ports.QueueFilter       // of the last call
	followed   ports.Followed          // of every change
	filter     ports.ExecutionFilter   // of the last call
	jobFilter  ports.JobFilter
	down       error // returned by every method while set
	log        journal
}

func newMemory() *memory {
	return &memory{apps: map[string][]byte{"billing": firjob.AuthHash(secret)}, jobs: map[firjob.JobID]firjob.Job{},
		executions: map[firjob.ExecutionID]firjob.Execution{}, keys: map[string]firjob.ExecutionID{}}
}

func (m *memory) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down = err
}

func (m *memory) CreateApp(_ context.Context, name string, authHash, _ []byte) (firjob.App, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.apps[name] != nil {
		return firjob.App{}, firjob.Errorf(firjob.CodeConflict, "there is an app %q already", name)
	}
	m.apps[name] = authHash
	return firjob.App{Name: name, CreatedAt: someday}, m.down
}

func (m *memory) DeleteApp(_ context.Context, name string, check func(firjob.App) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := check(firjob.App{Name: name, CreatedAt: someday}); err != nil {
		return err
	}
	delete(m.apps, name)
	return m.down
}

func (m *memory) Apps(context.Context, ports.AppFilter) ([]firjob.App, string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []firjob.App
	for name := range m.apps {
		list = append(list, firjob.App{Name: name, CreatedAt: someday})
	}
	return list, "", m.down
}

func (m *memory) AppAuthHash(_ context.Context, app string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down != nil {
		return nil, m.down
	}
	if m.apps[app] == nil {
		return nil, firjob.Errorf(firjob.CodeNotFound, "there is no app %q", app)
	}
	return m.apps[app], nil
}

func (m *memory) MarkExecutor(ctx context.Context, mark firjob.Mark) (firjob.Mark, error) {
	if _, err := m.AppAuthHash(ctx, mark.App); err != nil {
		return mark, err
	}
	mark.CreatedAt = someday
	return mark, nil
}

func (m *memory) CreateJob(_ context.Context, j firjob.Job) (firjob.Job, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down != nil {
		return j, m.down
	}
	if m.apps[j.App] == nil {
		return j, firjob.Invalid([]firjob.FieldError{{Field: "app", Message: "is not known", Value: j.App}})
	}
	for _, name := range j.Schedule.Calendars {
		c, err := m.calendar(name)
		if err != nil {
			return j, err
		}
		j.Calendars = append(j.Calendars, *c)
	}
	next, err := timetable.FirstFire(j, someday, someday)
	if err != nil {
		return j, err
	}
	j.ID, j.Version, j.CreatedAt, j.UpdatedAt = firjob.JobID(len(m.jobs)+1), 1, someday, someday
	m.store(j, next)
	return m.jobs[j.ID], nil
}

func (m *memory) store(j firjob.Job, next time.Time) {
	j.NextFireAt = nil
	if !next.IsZero() {
		j.NextFireAt = &next
	}
	m.jobs[j.ID] = j
}

func (m *memory) Job(_ context.Context, id firjob.JobID) (firjob.Job, time.Time, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	j, ok := m.jobs[id]
	if m.down != nil {
		return j, someday, m.down
	}
	if !ok {
		return j, someday, firjob.Errorf(firjob.CodeNotFound, "there is no job %d", id)
	}
	return j, someday, nil
}

func (m *memory) Jobs(_ context.Context, filter ports.JobFilter) ([]firjob.Job, firjob.JobID, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.jobFilter = filter
	var list []firjob.Job
	for id := filter.After + 1; int(id) <= len(m.jobs); id++ {
		if len(list) == filter.PageSize {
			return list, id - 1, m.down
		}
		list = append(list, m.jobs[id])
	}
	return list, 0, m.down
}

func (m *memory) LastEnds(_ context.Context, jobs []firjob.JobID) (map[firjob.JobID]ports.LastEnd, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	ends := map[firjob.JobID]ports.LastEnd{}
	for _, id := range jobs {
		for _, e := range m.executions {
			if e.JobID == id && e.FinishedAt != nil {
				ends[id] = ports.LastEnd{ID: e.ID, State: e.State, Reason: e.Reason, FinishedAt: *e.FinishedAt}
			}
		}
	}
	return ends, m.down
}

func (m *memory) UpdateJob(_ context.Context, id firjob.JobID, change func(now time.Time, j *firjob.Job) error) (firjob.Job, ports.Followed, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	j, ok := m.jobs[id]
	if !ok {
		return j, ports.Followed{}, firjob.Errorf(firjob.CodeNotFound, "there is no job %d", id)
	}
	old, now := j, time.Now()
	if err := change(now, &j); err != nil {
		return firjob.Job{}, ports.Followed{}, err
	}
	next, err := timetable.FireAfterEdit(j, old, now, someday)
	if err != nil {
		return firjob.Job{}, ports.Followed{}, err
	}
	j.Version++
	m.store(j, next)
	return m.jobs[id], m.followed, nil
}

func (m *memory) DeleteJob(_ context.Context, id firjob.JobID, check func(firjob.Job) error) (ports.Followed, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.jobs[id]; !ok {
		return ports.Followed{}, firjob.Errorf(firjob.CodeNotFound, "there is no job %d", id)
	}
	if err := check(m.jobs[id]); err != nil {
		return ports.Followed{}, err
	}
	delete(m.jobs, id)
	return m.followed, nil
}

func (m *memory) Trigger(_ context.Context, t ports.TriggerRequest) (firjob.Execution, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if id, ok := m.keys[t.Key]; ok && t.Key != "" {
		if string(m.executions[id].Params) != string(t.Params) {
			return firjob.Execution{}, false, firjob.Errorf(firjob.CodeKeyReused, "the key was used with another request")
		}
		return m.executions[id], true, nil
	}
	j, ok := m.jobs[t.Job]
	if !ok {
		return firjob.Execution{}, false, firjob.Errorf(firjob.CodeNotFound, "there is no job %d", t.Job)
	}
	at, due := t.At, t.At.IsZero()
	if due {
		at = someday
	}
	id := firjob.NewExecutionID(t.Job, at, firjob.KindManual, uint32(len(m.executions)))
	e := firjob.Execution{ID: id, JobID: j.ID, App: j.App, Job: j.Name, Handler: j.Handler, Kind: firjob.KindManual,
		ScheduledAt: at, DueAt: at, State: firjob.StatePlanned, Params: t.Params}
	m.executions[id], m.keys[t.Key] = e, id
	return e, due, nil
}

func (m *memory) RetryExecution(_ context.Context, id firjob.ExecutionID) (firjob.Execution, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.executions[id]
	if !ok {
		return e, firjob.Errorf(firjob.CodeNotFound, "there is no execution %v", id)
	}
	if !e.State.Final() {
		return e, firjob.Errorf(firjob.CodeConflict, "execution %v has not ended", id)
	}
	return firjob.Execution{ID: firjob.NewExecutionID(e.JobID, someday, firjob.KindManual, 7), JobID: e.JobID,
		ScheduledAt: someday, DueAt: someday, State: firjob.StatePlanned, RetryOf: &id}, nil
}

func (m *memory) CancelExecution(_ context.Context, id firjob.ExecutionID) (firjob.Execution, ports.Followed, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.executions[id]
	if !ok {
		return e, ports.Followed{}, firjob.Errorf(firjob.CodeNotFound, "there is no execution %v", id)
	}
	if e.State.Final() {
		return e, ports.Followed{}, firjob.Errorf(firjob.CodeConflict, "execution %v has ended", id)
	}
	return e, m.followed, nil
}

func (m *memory) Execution(_ context.Context, id firjob.ExecutionID) (firjob.Execution, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.executions[id]
	if !ok {
		return e, firjob.Errorf(firjob.CodeNotFound, "there is no execution %v", id)
	}
	return e, nil
}

func (m *memory) Executions(_ context.Context, filter ports.ExecutionFilter) ([]firjob.Execution, firjob.ExecutionID, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.filter = filter
	return nil, firjob.Fire(9, someday), m.down
}

func (m *memory) Stats(context.Context, time.Time) (ports.Stats, error) {
	return ports.Stats{ByState: map[firjob.State]int64{firjob.StateFailed: 2}}, m.down
}

func (m *memory) Ready(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.down
}

// stored says what the store holds, to show that a refused request left nothing.
func (m *memory) stored() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return fmt.Sprintf("%d apps, %d jobs, %d executions", len(m.apps), len(m.jobs), len(m.executions))
}

// calls is a Scheduler that notes what it is asked, in order.
type calls struct {
	mu       sync.Mutex
	made     []string
	receipts []firjob.Receipt
	results  []firjob.Result // of the last callback
	start    firjob.Start    // the last one
	report   firjob.Report   // the last one
	away     error           // of Start and Report
	status   ports.Status
	panics   bool

	executors []ports.ExecutorView // nil: a plain one
}

func (c *calls) note(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.made = append(c.made, fmt.Sprintf(format, args...))
}

func (c *calls) JobChanged(_ context.Context, ids ...firjob.JobID) {
	for _, id := range ids {
		c.note("job %d changed", id)
	}
}

func (c *calls) Announce(_ context.Context, due ...firjob.Due) { c.note("announce %v", due[0].ID) }

func (c *calls) Cancel(_ context.Context, app string, attempts ...firjob.AttemptRef) {
	for _, a := range attempts {
		c.note("cancel %s %v %d", app, a.ID, a.Token)
	}
}

func (c *calls) Horizon() time.Duration { return time.Minute }

func (c *calls) Beat(_ context.Context, b firjob.Beat) (firjob.BeatReply, error) {
	c.note("beat %s %s", b.App, b.Address)
	return firjob.BeatReply{Now: someday, Interval: firjob.Duration(time.Second)}, nil
}

func (c *calls) Leave(_ context.Context, k firjob.ExecutorKey) error {
	c.note("leave %s %s %s", k.App, k.Address, k.Incarnation)
	return nil
}

func (c *calls) Finish(_ context.Context, cb firjob.Callback) ([]firjob.Receipt, error) {
	c.note("finish %d", len(cb.Results))
	c.results = cb.Results
	return c.receipts, nil
}

func (c *calls) Executors(_ context.Context, app string, filter ports.ExecutorFilter) ([]ports.ExecutorView, error) {
	if c.executors == nil {
		return []ports.ExecutorView{{Executor: firjob.Executor{App: app, Address: "10.0.0.7:9999", Incarnation: "a", Capacity: 4,
			State: firjob.ExecutorActive, StartedAt: someday, LastBeat: someday}, Counts: firjob.ExecutorActive, Live: true}}, nil
	}
	return slices.DeleteFunc(slices.Clone(c.executors), func(v ports.ExecutorView) bool { return !filter.Selects(v) }), nil
}

func (c *calls) ExecutorMarked(_ context.Context, m firjob.Mark) {
	c.note("mark %s %s %s %q", m.App, m.Address, m.State, m.Reason)
}

func (c *calls) Status(context.Context) (ports.Status, error) {
	if c.panics {
		panic("secret of the panic")
	}
	return c.status, nil
}
