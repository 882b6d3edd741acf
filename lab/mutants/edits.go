package mutants

// edit replaces a text that must be in its file exactly once: an edit that has lost
// its place, because the product has changed, fails the build of the mutants.
type edit struct {
	file string
	old  string
	new  string
}

// edits are the places at which the product asks for a mutant. Several mutants may
// share a place.
func edits() map[Mutant][]edit {
	return map[Mutant][]edit{
		FireForgotten: {
			{file: "storage/flow/plan.go",
				old: "func (p *planning) add(j scan.JobRow, plan ports.Plan) {\n",
				new: `func (p *planning) add(j scan.JobRow, plan ports.Plan) {
	if withoutGuard("fire-forgotten") && len(plan.Fires) > 0 {
		plan.Fires = plan.Fires[:len(plan.Fires)-1]
	}
`},
		},
		NeverAnnounced: {
			{file: "scheduler/plan.go",
				old: "\tp.queue.Announce(ctx, planned)\n",
				new: `	if withoutGuard("never-announced") {
		return
	}
	p.queue.Announce(ctx, planned)
`},
		},
		LateFiresDropped: {
			{file: "scheduler/expand.go",
				old: "func (e expansion) late(first time.Time) (run []time.Time, missed *ports.Missed) {\n",
				new: `func (e expansion) late(first time.Time) (run []time.Time, missed *ports.Missed) {
	if withoutGuard("late-fires-dropped") {
		return nil, nil
	}
`},
		},
		SupersedeSkipped: {
			{file: "storage/flow/final.go",
				old: "func Supersede(ctx context.Context, tx pgx.Tx, job firjob.JobID, reason string) " +
					"(ports.Followed, error) {\n",
				new: `func Supersede(ctx context.Context, tx pgx.Tx, job firjob.JobID, reason string) (ports.Followed, error) {
	if withoutGuard("supersede-skipped") {
		return ports.Followed{}, nil
	}
`},
		},
		VersionIgnored: {
			{file: "storage/flow/claim.go",
				old: "tx.Query(ctx, claimSQL, pg.UUIDs(ids)",
				new: "tx.Query(ctx, claimStatement(), pg.UUIDs(ids)"},
		},
		StateIgnored: {
			{file: "storage/flow/claim.go",
				old: "tx.Query(ctx, claimSQL, pg.UUIDs(ids)",
				new: "tx.Query(ctx, claimStatement(), pg.UUIDs(ids)"},
		},
		TokenKept: {
			{file: "storage/flow/claim.go",
				old: "tx.Query(ctx, claimSQL, pg.UUIDs(ids)",
				new: "tx.Query(ctx, claimStatement(), pg.UUIDs(ids)"},
		},
		NotHeld: {
			{file: "scheduler/hold.go",
				old: "\tdue = h.waiting.leave(now, n)\n",
				new: `	if withoutGuard("not-held") {
		now = now.Add(time.Hour)
	}
	due = h.waiting.leave(now, n)
`},
		},
		SentUnchecked: {
			{file: "scheduler/send.go",
				old: "func (s *sending) sendable(ctx context.Context, flights []*flight) []*flight {\n",
				new: `func (s *sending) sendable(ctx context.Context, flights []*flight) []*flight {
	if withoutGuard("sent-unchecked") {
		return flights
	}
`},
		},
		UnknownIsRefused: {
			{file: "scheduler/send.go",
				old: "\tfailpoint.Crash(failpoint.AfterSend, len(answers))\n",
				new: `	failpoint.Crash(failpoint.AfterSend, len(answers))
	if withoutGuard("unknown-is-refused") && err != nil {
		err = &ports.Refused{Reason: "no answer", Cause: err}
	}
`},
		},
		EpochIgnored: {
			{file: "scheduler/degraded.go",
				old: "func (x *index) rebuild(ctx context.Context) error {\n",
				new: `func (x *index) rebuild(ctx context.Context) error {
	if withoutGuard("epoch-ignored") {
		return nil
	}
`},
		},
		NoSweep: {
			{file: "scheduler/sweep.go",
				old: "func (w *sweep) pass(ctx context.Context) {\n",
				new: `func (w *sweep) pass(ctx context.Context) {
	if withoutGuard("no-sweep") {
		return
	}
`},
		},
		LeasesNeverEnd: {
			{file: "scheduler/sweep.go",
				old: "\tif w.clock.local().Before(w.trustFrom) {\n",
				new: `	if w.clock.local().Before(w.trustFrom) || withoutGuard("leases-never-end") {
`},
		},
		LostIsFinal: {
			{file: "storage/flow/finish_rules.go",
				old: "\t}.After(random)\n",
				new: `	}.After(random)
	if withoutGuard("lost-is-final") && outcome == firjob.OutcomeLost {
		verdict = firjob.Verdict{State: firjob.StateLost, Reason: reason}
	}
`},
		},
		ResultOfAnyToken: {
			{file: "storage/flow/finish.go",
				old: "tx.Query(ctx, succeedSQL, pg.UUIDs(s.ids)",
				new: "tx.Query(ctx, succeedStatement(), pg.UUIDs(s.ids)"},
		},
		AnsweredUncommitted: {
			{file: "scheduler/finish.go",
				old: "\treturn s.finishes.Do(ctx, items)\n",
				new: `	if withoutGuard("answered-uncommitted") {
		s.background.Go(func() { _, _ = s.finishes.Do(context.WithoutCancel(ctx), items) })
		return allRecorded(len(items)), nil
	}
	return s.finishes.Do(ctx, items)
`},
		},
		ChildApart: {
			{file: "storage/flow/finish.go",
				old: "\tfailpoint.Crash(failpoint.BeforeAnswer, len(out.Followed.Ended))\n",
				new: `	failpoint.Crash(failpoint.BeforeAnswer, len(out.Followed.Ended))
	if withoutGuard("child-apart") {
		if err := db.childrenApart(ctx, &out.Followed); err != nil {
			return out, err
		}
	}
`},
			{file: "storage/flow/final.go",
				old: "\t\ttriggerChildren, ",
				new: "\t\tchildrenUnlessApart, "},
		},
		SlotNotTaken: {
			{file: "storage/flow/claim_rules.go",
				old: "case s.holds(c.id) || s.take(c.id):",
				new: `case s.holds(c.id) || s.take(c.id) || withoutGuard("slot-not-taken"):`},
		},
		SlotNotReleased: {
			{file: "storage/flow/slots.go",
				old: "func passSlotsOn(ctx context.Context, tx pgx.Tx, list []ended, followed *ports.Followed) error {\n",
				new: `func passSlotsOn(ctx context.Context, tx pgx.Tx, list []ended, followed *ports.Followed) error {
	if withoutGuard("slot-not-released") {
		return nil
	}
`},
		},
		TokenIgnored: {
			{file: "worker/table.go",
				old: "seen && a.task.Token <= last.token {",
				new: `seen && a.task.Token <= last.token && !withoutGuard("token-ignored") {`},
		},
		SpoolSkipped: {
			{file: "worker/spool.go",
				old: "func (s *spool) append(items []*item) error {\n",
				new: `func (s *spool) append(items []*item) error {
	if withoutGuard("spool-skipped") {
		return nil
	}
`},
		},
	}
}
