package codec

import (
	"errors"
	"fmt"

	"github.com/firjob/firjob"
)

// triggerSize is about what a trigger takes without its params and inputs, in bytes.
const triggerSize = 112

func encodeTriggers(m *firjob.TriggerBatch) ([]byte, error) {
	list := borrow[trigger](&triggerLists, len(m.Triggers))
	defer giveBack(&triggerLists, list)
	size := 64
	for i := range m.Triggers {
		tr := &m.Triggers[i]
		(*list)[i] = trigger{
			ID: id(tr.ID), JobID: uint32(tr.JobID), Job: text(tr.Job), Handler: text(tr.Handler), Kind: uint8(tr.Kind),
			Params: tr.Params, ScheduledAt: microsOf(tr.ScheduledAt), Attempt: tr.Attempt, Token: tr.Token,
			Timeout: int64(tr.Timeout), Lease: int64(tr.Lease), Exclusive: tr.Exclusive, Inputs: tr.Inputs,
		}
		if s := tr.Shard; s != nil {
			(*list)[i].Shard = &shardOf{s.Index, s.Total}
		}
		size += triggerSize + len(tr.Params) + len(tr.Inputs)
	}
	return marshal(triggerBatch{m.App, microsOf(m.SentAt), *list}, size, nil)
}

func decodeTriggers(body []byte, m *firjob.TriggerBatch) error {
	list := borrow[trigger](&triggerLists, 0)
	b := triggerBatch{Triggers: *list}
	err := reader.Unmarshal(body, &b)
	if err != nil {
		return err // and the list is not to be used again: it may hold more than its length
	}
	*list = b.Triggers
	defer giveBack(&triggerLists, list)
	sentAt, err := b.SentAt.time()
	if err != nil {
		return fmt.Errorf("sent_at: %w", err)
	}
	*m = firjob.TriggerBatch{App: b.App, SentAt: sentAt, Triggers: make([]firjob.Trigger, len(b.Triggers))}
	for i := range b.Triggers {
		if err := b.Triggers[i].into(&m.Triggers[i]); err != nil {
			return fmt.Errorf("trigger %d: %w", i, err)
		}
	}
	return nil
}

// into copies t into tr.
func (t *trigger) into(tr *firjob.Trigger) error {
	execution, err := t.ID.execution()
	params, err2 := raw(t.Params)
	inputs, err3 := raw(t.Inputs)
	at, err4 := t.ScheduledAt.time()
	if err := errors.Join(err, err2, err3, err4); err != nil {
		return err
	}
	if t.Kind > uint8(firjob.KindChild) {
		return fmt.Errorf("%d is the number of no kind", t.Kind)
	}
	*tr = firjob.Trigger{
		ID: execution, JobID: firjob.JobID(t.JobID), Job: t.Job, Handler: t.Handler, Kind: firjob.Kind(t.Kind),
		Params: params, ScheduledAt: at, Attempt: t.Attempt, Token: t.Token,
		Timeout: firjob.Duration(t.Timeout), Lease: firjob.Duration(t.Lease), Exclusive: t.Exclusive, Inputs: inputs,
	}
	if s := t.Shard; s != nil {
		tr.Shard = &firjob.ShardOf{Index: s.Index, Total: s.Total}
	}
	return nil
}
