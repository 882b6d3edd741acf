package dispatch_test

import (
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/codec"
)

// polyglot plays an executor and notes in which encodings it was spoken to.
type polyglot struct {
	accept  string // what it says that it takes
	refuses int    // the status by which it answers CBOR; 0 = it reads it
	mu      sync.Mutex
	heard   []codec.Encoding
}

func (p *polyglot) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	in := codec.Encoding(r.Header.Get("Content-Type"))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heard = append(p.heard, in)
	if p.accept != "" {
		w.Header().Set("Accept", p.accept)
	}
	if firjob.VerifySignature(r.Header, key, time.Now(), body) != nil {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if in == codec.CBOR && p.refuses != 0 {
		w.WriteHeader(p.refuses)
		return
	}
	var batch firjob.TriggerBatch
	if codec.Decode(in, body, &batch) != nil || len(batch.Triggers) != 1 || batch.Triggers[0].ID != trigger.ID {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	answer, _ := codec.Encode(in, &firjob.TriggerReply{Incarnation: r.Header.Get(firjob.HeaderIncarnation), Results: []firjob.Acceptance{firjob.RefusedFull}})
	w.Header().Set("Content-Type", string(in))
	_, _ = w.Write(answer)
}

// Triggers go in JSON until the very process says that it takes more, and go on in
// JSON when it says so no longer, or refuses what it was said to take.
func TestTheEncodingIsTheExecutorsChoice(t *testing.T) {
	t.Parallel()
	const j, c = codec.JSON, codec.CBOR
	for name, tt := range map[string]struct {
		executor *polyglot
		want     []codec.Encoding // of four sends
	}{
		"of an earlier version":      {&polyglot{}, []codec.Encoding{j, j, j, j}},
		"that takes JSON only":       {&polyglot{accept: "application/json"}, []codec.Encoding{j, j, j, j}},
		"that takes both":            {&polyglot{accept: codec.Accepts}, []codec.Encoding{j, c, c, c}},
		"that refuses what it takes": {&polyglot{accept: codec.Accepts, refuses: http.StatusUnsupportedMediaType}, []codec.Encoding{j, c, j, j, j}},
		"that cannot read it":        {&polyglot{accept: codec.Accepts, refuses: http.StatusBadRequest}, []codec.Encoding{j, c, j, j, j}},
		"that breaks over it":        {&polyglot{accept: codec.Accepts, refuses: http.StatusInternalServerError}, []codec.Encoding{j, c, c, c}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			executor := listen(t, tt.executor.ServeHTTP)
			s := newSender(t)
			for i := range 4 {
				answers, err := s.Send(t.Context(), executor, key, time.Now(), []firjob.Trigger{trigger})
				if name != "that breaks over it" && (err != nil || !slices.Equal(answers, []firjob.Acceptance{firjob.RefusedFull})) {
					t.Errorf("send %d is answered %v, %v", i, answers, err)
				}
			}
			tt.executor.mu.Lock()
			defer tt.executor.mu.Unlock()
			if diff := cmp.Diff(tt.want, tt.executor.heard); diff != "" {
				t.Errorf("encodings (-want +got):\n%s", diff)
			}
		})
	}
}

// A process that comes back at its address, perhaps an earlier version, is spoken to
// in JSON at first.
func TestANewProcessIsSpokenToInJSON(t *testing.T) {
	t.Parallel()
	p := &polyglot{accept: codec.Accepts}
	executor := listen(t, p.ServeHTTP)
	s := newSender(t)
	for _, incarnation := range []string{"one", "one", "two", "two"} {
		executor.Incarnation = incarnation
		if _, err := s.Send(t.Context(), executor, key, time.Now(), []firjob.Trigger{trigger}); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]codec.Encoding{codec.JSON, codec.CBOR, codec.JSON, codec.CBOR}, p.heard); diff != "" {
		t.Errorf("encodings (-want +got):\n%s", diff)
	}
}

// A trigger that cannot be read in any encoding says nothing about the encoding.
func TestAFaultyTriggerDoesNotEndTheCompactEncoding(t *testing.T) {
	t.Parallel()
	p := &polyglot{accept: codec.Accepts}
	executor := listen(t, p.ServeHTTP)
	s := newSender(t)
	other := trigger
	other.ID = firjob.Fire(8, time.Now())
	for _, tr := range []firjob.Trigger{trigger, other, trigger} {
		_, err := s.Send(t.Context(), executor, key, time.Now(), []firjob.Trigger{tr})
		if (tr.ID == other.ID) != refused(err) {
			t.Errorf("Send = %v", err)
		}
	}
	if diff := cmp.Diff([]codec.Encoding{codec.JSON, codec.CBOR, codec.JSON, codec.CBOR}, p.heard); diff != "" {
		t.Errorf("encodings (-want +got):\n%s", diff)
	}
}
