package httpapi_test

import (
	"context"
	"slices"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// The parts of memory that belong to batches, calendars and idempotency keys.

func (m *memory) CreateJobs(ctx context.Context, jobs []firjob.Job, atomic bool) ([]ports.StoredJob, error) {
	stored := make([]ports.StoredJob, len(jobs))
	for i, j := range jobs {
		stored[i].Job, stored[i].Err = m.CreateJob(ctx, j)
		if m.down != nil {
			return nil, m.down
		}
	}
	return stored, nil
}

func (m *memory) TriggerMany(ctx context.Context, job firjob.JobID, list []ports.TriggerRequest) ([]ports.Triggered, error) {
	made := make([]ports.Triggered, len(list))
	for i, t := range list {
		made[i].Execution, made[i].Due, made[i].Err = m.Trigger(ctx, t)
		if firjob.CodeOf(made[i].Err) == firjob.CodeNotFound {
			return nil, made[i].Err
		}
	}
	return made, nil
}

func (m *memory) CreateCalendar(_ context.Context, c firjob.Calendar) (firjob.Calendar, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if slices.ContainsFunc(m.calendars, func(o firjob.Calendar) bool { return o.Name == c.Name }) {
		return c, firjob.Errorf(firjob.CodeConflict, "there is a calendar %q already", c.Name)
	}
	c.Version, c.CreatedAt, c.UpdatedAt = 1, someday, someday
	m.calendars = append(m.calendars, c)
	return c, m.down
}

func (m *memory) calendar(name string) (*firjob.Calendar, error) {
	for i := range m.calendars {
		if m.calendars[i].Name == name {
			return &m.calendars[i], m.down
		}
	}
	return nil, firjob.Errorf(firjob.CodeNotFound, "there is no calendar %q", name)
}

func (m *memory) Calendar(_ context.Context, name string) (ports.CalendarUse, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, err := m.calendar(name)
	if err != nil {
		return ports.CalendarUse{}, err
	}
	return ports.CalendarUse{Calendar: *c, Jobs: 7}, nil
}

func (m *memory) Calendars(_ context.Context, names []string) ([]firjob.Calendar, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []firjob.Calendar
	for _, name := range names {
		c, err := m.calendar(name)
		if err != nil {
			return nil, firjob.Invalid([]firjob.FieldError{{Field: "schedule.calendars[0]", Value: name, Message: "is not known"}})
		}
		list = append(list, *c)
	}
	return list, m.down
}

func (m *memory) CalendarList(_ context.Context, filter ports.CalendarFilter) (list []ports.CalendarUse, next string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.calendars {
		if c.Name <= filter.After {
			continue
		}
		if len(list) == filter.PageSize {
			return list, list[len(list)-1].Name, m.down
		}
		list = append(list, ports.CalendarUse{Calendar: c})
	}
	return list, "", m.down
}

func (m *memory) CalendarVersions(_ context.Context, name string, before, pageSize int) ([]firjob.Calendar, int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, err := m.calendar(name)
	if err != nil {
		return nil, 0, err
	}
	var list []firjob.Calendar
	for v := c.Version; v > 0; v-- {
		if before > 0 && v >= before {
			continue
		}
		if len(list) == pageSize {
			return list, list[len(list)-1].Version, nil
		}
		was := *c
		was.Version = v
		list = append(list, was)
	}
	return list, 0, nil
}

func (m *memory) UpdateCalendar(_ context.Context, name string, change func(c *firjob.Calendar) error) (ports.CalendarUse, ports.Followed, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, err := m.calendar(name)
	if err != nil {
		return ports.CalendarUse{}, ports.Followed{}, err
	}
	edited := *c
	if err := change(&edited); err != nil {
		return ports.CalendarUse{}, ports.Followed{}, err
	}
	edited.Version++
	*c = edited
	return ports.CalendarUse{Calendar: edited, Jobs: 2}, ports.Followed{Plan: []firjob.JobID{3, 4}}, nil
}

func (m *memory) DeleteCalendar(_ context.Context, name string, check func(firjob.Calendar) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, err := m.calendar(name)
	if err != nil {
		return err
	}
	if err := check(*c); err != nil {
		return err
	}
	m.calendars = slices.DeleteFunc(m.calendars, func(c firjob.Calendar) bool { return c.Name == name })
	return nil
}

// Replay and SaveAnswer keep every answer: what was carried out, only the real
// store can tell.
func (m *memory) Replay(_ context.Context, w ports.Write) (*ports.Answer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a, ok := m.answers[w.Key+" "+w.Operation]
	if !ok || m.down != nil {
		return nil, m.down
	}
	if string(a.Body[:len(w.Fingerprint)]) != string(w.Fingerprint) {
		return nil, firjob.Errorf(firjob.CodeKeyReused, "the key was used with another request")
	}
	a.Body = a.Body[len(w.Fingerprint):]
	return &a, nil
}

func (m *memory) SaveAnswer(_ context.Context, w ports.Write, a ports.Answer) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.answers == nil {
		m.answers = map[string]ports.Answer{}
	}
	a.Body = append(w.Fingerprint[:len(w.Fingerprint):len(w.Fingerprint)], a.Body...)
	m.answers[w.Key+" "+w.Operation] = a
	return m.down
}
