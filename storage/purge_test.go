package storage_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/firjob/firjob"
)

// Old records go in statements of bounded size, however many have gathered: one
// that took all of them would run into its timeout, and never finish.
func TestPurgingIsBoundedPerStatement(t *testing.T) {
	t.Parallel()
	const rows, most = 2500, 1000
	for table, fill := range map[string]string{
		"idempotency_keys": `SELECT n, 'k', '', gen_random_uuid(), now() - interval '2 days'`,
		"idempotent_requests": `SELECT 'k' || n, 'POST', '', NULL::int, NULL::json, NULL::bytea,
			now() - interval '2 days'`,
		"executors":      `SELECT 'a', n::text, 'i', 'v', 1, 1, 0, 'active', now(), now() - interval '2 days'`,
		"later_triggers": `SELECT gen_random_uuid(), n, now(), NULL::json, now() - interval '90 days'`,
		"app_slots":      `SELECT old.id, 'a'`,
		"app_queue":      `SELECT 'a', n, old.id`,
		"broadcasts":     `SELECT old.id, 1, 1`,
		"dead_letters":   `SELECT old.id, n, now()`,
		"child_joins":    `SELECT old.id, n, '[]'::json, NULL::uuid, now() - interval '90 days'`,
		"backfills": `SELECT n, n, now(), now(), false, 1, NULL::json, '{}'::json, 1, now(), now(), 1, now(), now(),
			now() - interval '90 days'`,
	} {
		t.Run(table, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			override := ""
			if table == "backfills" {
				override = "OVERRIDING SYSTEM VALUE"
			}
			first := firjob.FirstIDAt(s.now().AddDate(0, -3, 0)).String()
			s.exec(fmt.Sprintf(`INSERT INTO %s %s %s FROM generate_series(1, %d) AS n,
				LATERAL (SELECT (left($1::text, 24) || lpad(to_hex(n), 12, '0'))::uuid AS id) AS old WHERE $1 <> ''`,
				table, override, fill, rows), first)
			s.exec(fmt.Sprintf(`CREATE FUNCTION bound() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
				IF (SELECT count(*) FROM gone) > %d THEN RAISE EXCEPTION 'too many rows in one statement'; END IF;
				RETURN NULL; END $$`, most))
			s.exec(`CREATE TRIGGER bound AFTER DELETE ON ` + table +
				` REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION bound()`)
			if err := s.MaintainPartitions(t.Context(), 1, 30*24*time.Hour); err != nil {
				t.Error(err)
			}
			var left int
			s.query(`SELECT count(*) FROM `+table, &left)
			if left != 0 {
				t.Errorf("%d of %d old rows are left", left, rows)
			}
		})
	}
}
