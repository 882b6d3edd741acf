package storage_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// familyModel is what the store should do with a run of jobs that trigger each
// other, in the fewest words.
type familyModel struct {
	parents map[firjob.JobID]firjob.Parents
	ends    map[firjob.JobID]map[firjob.JobID]firjob.State // of joins, by child
	started map[firjob.JobID]int
	done    map[firjob.JobID]bool // joins that have triggered
}

func (m *familyModel) ended(job firjob.JobID, state firjob.State) {
	for child, p := range m.parents {
		i := slices.IndexFunc(p.Of, func(p firjob.Parent) bool { return p.Job == job })
		switch {
		case i < 0:
		case len(p.Of) == 1 && p.Of[0].On.Meets(state):
			m.started[child]++
		case len(p.Of) > 1:
			m.ends[child][job] = state
			if !m.done[child] && m.joined(child) {
				m.done[child] = true
				m.started[child]++
			}
		}
	}
}

func (m *familyModel) joined(child firjob.JobID) bool {
	met := 0
	for _, p := range m.parents[child].Of {
		if p.On.Meets(m.ends[child][p.Job]) {
			met++
		}
	}
	return met == len(m.parents[child].Of) || met > 0 && m.parents[child].Join == firjob.JoinAny
}

// drawFamily makes jobs of which later ones may be triggered by earlier ones.
func drawFamily(t *rapid.T, s *store) ([]firjob.Job, *familyModel) {
	m := &familyModel{parents: map[firjob.JobID]firjob.Parents{}, ends: map[firjob.JobID]map[firjob.JobID]firjob.State{},
		started: map[firjob.JobID]int{}, done: map[firjob.JobID]bool{}}
	jobs := []firjob.Job{s.job(nil)}
	for n := rapid.IntRange(1, 6).Draw(t, "children"); len(jobs) <= n; {
		p := firjob.Parents{Join: rapid.SampledFrom([]firjob.Join{firjob.JoinAll, firjob.JoinAny}).Draw(t, "join")}
		for _, parent := range jobs {
			if rapid.Bool().Draw(t, "is parent") || len(p.Of) == 0 && parent.ID == jobs[len(jobs)-1].ID {
				on := rapid.SampledFrom([]firjob.On{firjob.OnSuccess, firjob.OnSuccess, firjob.OnFailure, firjob.OnEnd}).Draw(t, "on")
				p.Of = append(p.Of, firjob.Parent{Job: parent.ID, On: on})
			}
		}
		job := s.job(func(j *firjob.Job) { j.Schedule, j.Parents = firjob.Schedule{Kind: firjob.ScheduleManual}, &p })
		m.parents[job.ID], m.ends[job.ID] = p, map[firjob.JobID]firjob.State{}
		jobs = append(jobs, job)
	}
	return jobs, m
}

// Whatever triggers whatever, in whichever batches the ends are recorded, and
// whatever is retried: each job runs as often as the model says, all in one tree.
func TestRandomRuns(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	rapid.Check(t, func(t *rapid.T) {
		jobs, m := drawFamily(t, s)
		start, _ := s.trigger(ports.TriggerRequest{Job: jobs[0].ID})
		m.started[jobs[0].ID] = 1
		open := []firjob.ExecutionID{start.ID}
		for retries := 0; len(open) > 0; {
			n := rapid.IntRange(1, len(open)).Draw(t, "end at once")
			batch := slices.Clone(open[:n])
			open = open[n:]
			slices.SortFunc(batch, func(a, b firjob.ExecutionID) int { return slices.Compare(a[:], b[:]) })
			followed, failed := endBatch(t, s, m, batch)
			open = append(open, idsOf(followed.Announce)...)
			for _, id := range failed {
				if retries++; retries <= 3 && rapid.Bool().Draw(t, "retry") {
					e, err := s.RetryExecution(s.t.Context(), id)
					if err != nil {
						t.Fatal(err)
					}
					m.started[id.Job()]++
					open = append(open, e.ID)
				}
			}
		}
		for _, job := range jobs {
			list := s.of(job)
			if len(list) != m.started[job.ID] {
				t.Fatalf("job %d ran %d times, want %d; its parents are %+v", job.ID, len(list), m.started[job.ID], m.parents[job.ID])
			}
			for _, e := range list {
				if e.ID != start.ID && *e.Root != start.ID {
					t.Fatalf("execution %s of job %d has the root %v, want %v", e.ID, job.ID, e.Root, start.ID)
				}
			}
		}
		if tree, _, _, err := s.Tree(s.t.Context(), start.ID, 1000); err != nil || treeSize(tree) != total(m.started) {
			t.Fatalf("the tree has %d executions, want %d (%v)", treeSize(tree), total(m.started), err)
		}
	})
}

// endBatch ends executions as drawn, in one transaction.
func endBatch(t *rapid.T, s *store, m *familyModel, batch []firjob.ExecutionID) (followed ports.Followed, failed []firjob.ExecutionID) {
	items := make([]ports.FinishItem, len(batch))
	for i, id := range batch {
		outcome := rapid.SampledFrom([]firjob.Outcome{firjob.OutcomeSucceeded, firjob.OutcomeFailed, firjob.OutcomeCancelled}).Draw(t, fmt.Sprint("outcome of ", id.Job()))
		a := s.mustClaim(id)
		items[i] = ports.FinishItem{Executor: executor, Result: firjob.Result{ID: id, Token: a.Token, Outcome: outcome, Error: "drawn", FinishedAt: time.Now().Add(time.Hour)}}
		m.ended(id.Job(), outcome.State())
		if outcome == firjob.OutcomeFailed {
			failed = append(failed, id)
		}
	}
	got, err := s.Finish(s.t.Context(), items)
	if err != nil {
		t.Fatal(err)
	}
	return got.Followed, failed
}

func treeSize(t ports.Tree) int {
	n := 1
	for _, child := range t.Children {
		n += treeSize(child)
	}
	return n
}

func total(counts map[firjob.JobID]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}
