package storage_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
)

// A look at a log, and what reports write, find their rows by primary key among
// many. These statements are planned for their values, each time anew.
func TestPlansOfLogStatements(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, id := s.fire(nil)
	a := s.mustClaim(id)
	s.append(firjob.MaxLog, chunk(a, 1, 3))
	s.exec(`INSERT INTO executions (id, job_id, job_version, due_at)
		SELECT (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint + k), 12, '0') || '800080000000' || lpad(to_hex(j), 8, '0'))::uuid,
			1, 1, now() FROM generate_series(1, 10) AS k, generate_series(2, 1000) AS j`)
	s.exec(`INSERT INTO execution_logs (execution_id, token, first, last, attempt, bytes, lines)
		SELECT id, n, 1, 2, 1, 2, '[]' FROM executions, generate_series(1, 3) AS n WHERE id <> $1`, [16]byte(id))
	conn, err := pgx.Connect(t.Context(), s.url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	ids, jobs := [][16]byte{id}, []int32{int32(id.Job())}
	all := statements(t)
	for _, analyzed := range []bool{false, true} {
		if analyzed {
			s.exec(`ANALYZE`)
		}
		for name, args := range map[string][]any{
			"logsSQL":         {[16]byte(id), a.Token, int64(2), 0, 33},
			"cutLogSQL":       {[16]byte(id), int64(100)},
			"accountLogsSQL":  {ids, []int64{5}},
			"progressSQL":     {ids, [16]byte(id), [16]byte(id), jobs, app, []int64{a.Token}, []int32{5}, []string{""}},
			"insertChunksSQL": {ids, [16]byte(id), [16]byte(id), jobs, app, []int64{a.Token}, []int64{9}, []int64{9}, []string{"[]"}},
		} {
			rows, err := conn.Query(t.Context(), "EXPLAIN "+all[name], args...)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			plan := strings.Join(lines, "\n")
			if strings.Contains(plan, "Seq Scan on execution") || strings.Count(plan, "_"+id.ScheduledAt().AddDate(0, 0, 1).Format("20060102")) > 0 {
				t.Errorf("%s, analyzed %v, reads more than its rows:\n%s", name, analyzed, plan)
			}
		}
	}
}
