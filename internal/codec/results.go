package codec

import (
	"errors"
	"fmt"

	"github.com/firjob/firjob"
)

// resultSize is about what a result takes without its error and its own JSON, in bytes.
const resultSize = 64

func encodeCallback(m *firjob.Callback) ([]byte, error) {
	list := borrow[result](&resultLists, len(m.Results))
	defer giveBack(&resultLists, list)
	size := 160
	for i := range m.Results {
		r := &m.Results[i]
		outcome, err := outcomes.number(r.Outcome)
		if err != nil {
			return nil, err
		}
		(*list)[i] = result{
			ID: id(r.ID), Token: r.Token, Outcome: outcome, Error: text(r.Error), Result: r.Result,
			StartedAt: microsOf(r.StartedAt), FinishedAt: microsOf(r.FinishedAt), Permanent: r.Permanent,
			RetryAfter: int64(r.RetryAfter),
		}
		size += resultSize + len(r.Error) + len(r.Result)
	}
	return marshal(callback{m.App, m.Address, m.Incarnation, *list}, size, nil)
}

func decodeCallback(body []byte, m *firjob.Callback) error {
	list := borrow[result](&resultLists, 0)
	c := callback{Results: *list}
	err := reader.Unmarshal(body, &c)
	if err != nil {
		return err // and the list is not to be used again: it may hold more than its length
	}
	*list = c.Results
	defer giveBack(&resultLists, list)
	*m = firjob.Callback{App: c.App, Address: c.Address, Incarnation: c.Incarnation,
		Results: make([]firjob.Result, len(c.Results))}
	for i := range c.Results {
		if err := c.Results[i].into(&m.Results[i]); err != nil {
			return fmt.Errorf("result %d: %w", i, err)
		}
	}
	return nil
}

// into copies r into out. What its JSON is worth is for those to judge who keep it.
func (r *result) into(out *firjob.Result) error {
	execution, err := r.ID.execution()
	outcome, err2 := outcomes.word(r.Outcome)
	started, err3 := r.StartedAt.time()
	finished, err4 := r.FinishedAt.time()
	if err := errors.Join(err, err2, err3, err4); err != nil {
		return err
	}
	*out = firjob.Result{
		ID: execution, Token: r.Token, Outcome: outcome, Error: r.Error,
		StartedAt: started, FinishedAt: finished, Permanent: r.Permanent, RetryAfter: firjob.Duration(r.RetryAfter),
	}
	if len(r.Result) > 0 {
		out.Result = r.Result
	}
	return nil
}
