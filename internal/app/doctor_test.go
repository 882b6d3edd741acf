package app_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/app"
	"github.com/firjob/firjob/internal/localstack"
	"github.com/firjob/firjob/internal/localstack/stacktest"
	"github.com/firjob/firjob/redisq"
	"github.com/firjob/firjob/storage"
)

// verdicts returns what was found in short: the check and its verdict.
func verdicts(findings []app.Finding) []string {
	var list []string
	for _, f := range findings {
		list = append(list, fmt.Sprintf("%s %s", f.Check, f.Verdict))
	}
	return list
}

const nobody = "127.0.0.1:1"

func text(url string) func(*testing.T) string { return func(*testing.T) string { return url } }

// durable starts a Postgres that keeps its promises, or breaks those that
// settings name, and returns the URL of a database with the schema.
func durable(settings map[string]string) func(*testing.T) string {
	return func(t *testing.T) string {
		all := map[string]string{"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "shared_buffers": "32MB"}
		maps.Copy(all, settings)
		pg, err := localstack.StartPostgres(t.Context(), localstack.PostgresOptions{Ephemeral: true, Settings: all})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = pg.Stop(context.Background()) })
		if err := storage.Migrate(t.Context(), pg.URL("postgres")); err != nil {
			t.Fatal(err)
		}
		return pg.URL("postgres")
	}
}

func startRedis(args ...string) func(*testing.T) string {
	return func(t *testing.T) string {
		r, err := localstack.StartRedis(t.Context(), localstack.RedisOptions{Ephemeral: true, Args: args})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = r.Stop(context.Background()) })
		return r.URL()
	}
}

func startStandIn(t *testing.T) string {
	m, err := localstack.StartMiniredis(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Stop(context.Background()) })
	return m.URL()
}

// Whatever the stores are, each check says what it found, and what to do unless all is well.
func TestExamine(t *testing.T) {
	t.Parallel()
	fast := func() time.Time { return time.Now().Add(time.Minute) }
	redisFine := []string{"redis ok", "redis memory ok", "redis disk ok", "redis clock ok"}
	tests := []struct {
		name            string
		postgres, redis func(*testing.T) string
		local           func() time.Time
		want            []string
		says            string // in what was found or in a remedy
	}{
		{"all is well", durable(nil), startRedis(), time.Now, slices.Concat([]string{"postgres ok", "schema ok", "postgres clock ok",
			"postgres version ok", "postgres settings ok", "postgres connections ok", "postgres transactions ok", "partitions ok"},
			redisFine, []string{"executions ok", "executors ok", "index ok", "redis keys ok"}), "noeviction"},
		{"nothing is named", text(""), text(""), time.Now, []string{"postgres warn", "redis warn"}, "set FIRJOB_DATABASE_URL"},
		{"nothing answers", text("postgres://" + nobody + "/d"), text("redis://" + nobody), time.Now, []string{"postgres fail", "redis fail"}, "start Postgres"},
		{"URLs that are none", text("mysql:/x"), text("http://x"), time.Now, []string{"postgres fail", "redis fail"}, "correct FIRJOB_REDIS_URL"},
		{"an empty database, a clock that is off", func(t *testing.T) string { return stacktest.Database(t, nil) }, startRedis(), fast,
			[]string{"postgres ok", "schema fail", "redis ok", "redis memory ok", "redis disk ok", "redis clock warn"}, "firjob migrate up"},
		{"a careless Postgres", durable(map[string]string{"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off", "max_connections": "20"}),
			text(""), time.Now, []string{"postgres ok", "schema ok", "postgres clock ok", "postgres version ok",
				"postgres settings fail", "postgres settings fail", "postgres settings warn", "postgres settings warn",
				"postgres connections warn", "postgres transactions ok", "partitions ok", "redis warn", "executions ok", "executors ok"}, "max_connections"},
		{"keys may be evicted", text(""), startRedis("--maxmemory-policy", "allkeys-lru"), time.Now,
			[]string{"postgres warn", "redis warn", "redis memory ok", "redis disk ok", "redis clock ok"}, "allkeys-lru"},
		{"memory is short", text(""), startRedis("--maxmemory", "1000000"), time.Now,
			[]string{"postgres warn", "redis ok", "redis memory warn", "redis disk ok", "redis clock ok"}, "raise maxmemory"},
		{"a disk that takes nothing", text(""), fullDisk, time.Now,
			[]string{"postgres warn", "redis ok", "redis memory ok", "redis disk warn", "redis clock ok"}, "rdb_last_bgsave_status is err"},
		{"a stand-in", text(""), startStandIn, time.Now, []string{"postgres warn", "redis fail", "redis clock ok"}, "stand-in"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := app.Examine(t.Context(), app.Examination{DatabaseURL: tt.postgres(t), RedisURL: tt.redis(t), Local: tt.local, Pause: time.Millisecond})
			if diff := cmp.Diff(tt.want, verdicts(got)); diff != "" {
				t.Errorf("findings %+v (-want +got):\n%s", got, diff)
			}
			if all := fmt.Sprintf("%+v", got); !strings.Contains(all, tt.says) {
				t.Errorf("findings %s, want %q in them", all, tt.says)
			}
			wantRemedies(t, got)
		})
	}
}

func wantRemedies(t *testing.T, findings []app.Finding) {
	t.Helper()
	for _, f := range findings {
		if (f.Verdict == app.Fine) != (f.Remedy == "") {
			t.Errorf("%+v: want a remedy for what is not fine, and only for that", f)
		}
	}
}

// fullDisk starts a Redis whose last snapshot could not be written.
func fullDisk(t *testing.T) string {
	url := startRedis("--enable-protected-configs", "yes")(t)
	client := connectRedis(t, url)
	if err := client.ConfigSet(t.Context(), "dir", "/proc").Err(); err != nil {
		t.Fatal(err)
	}
	if err := client.BgSave(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); !strings.Contains(client.Info(t.Context(), "persistence").Val(), "rdb_last_bgsave_status:err"); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("a snapshot could be written to /proc")
		}
	}
	return url
}

func connectRedis(t *testing.T, url string) *redis.Client {
	t.Helper()
	options, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// secret is that of the app.
const secret = "0123456789abcdef0123456789abcdef"

// installation is both stores, with an app and a job, and nothing to find.
type installation struct {
	t          *testing.T
	url        string
	db         *storage.DB
	redisURL   string
	raw        *redis.Client
	queue      *redisq.Client
	job        firjob.Job
	now        time.Time
	nextMinute firjob.ExecutionID // planned, and in the queue
}

func install(t *testing.T) *installation {
	t.Helper()
	i := &installation{t: t, url: stacktest.Database(t, storage.Migrate), redisURL: startRedis()(t)}
	i.raw = connectRedis(t, i.redisURL)
	var err error
	if i.db, err = storage.Open(t.Context(), storage.Options{URL: i.url, MaxConns: 4}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(i.db.Close)
	if i.queue, err = redisq.Open(t.Context(), redisq.Options{URL: i.redisURL, Shards: 8}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = i.queue.Close() })
	i.must(i.db.SetSetting(t.Context(), "shards", "8"))
	_, err = i.db.CreateApp(t.Context(), "billing", firjob.AuthHash(secret), firjob.SigningKey(secret))
	i.must(err)
	i.now, err = i.db.Now(t.Context())
	i.must(err)
	i.job = i.every(10 * time.Second)
	i.beat("a")
	i.nextMinute = i.plan(30 * time.Second)
	i.must(i.queue.Announce(t.Context(), []firjob.Due{{ID: i.nextMinute, At: i.nextMinute.ScheduledAt()}}))
	return i
}

func (i *installation) must(err error) {
	i.t.Helper()
	if err != nil {
		i.t.Fatal(err)
	}
}

func (i *installation) every(interval time.Duration) firjob.Job {
	i.t.Helper()
	job := firjob.NewJob()
	job.App, job.Name, job.Handler = "billing", "report", "report"
	job.Schedule = firjob.Schedule{Kind: firjob.ScheduleEvery, Interval: firjob.Duration(interval)}
	job.Misfire.Policy = firjob.MisfireFireAll
	job, err := i.db.CreateJob(i.t.Context(), job)
	i.must(err)
	return job
}

func (i *installation) beat(incarnation string) {
	i.t.Helper()
	i.must(i.db.SaveExecutors(i.t.Context(), []firjob.Executor{{App: "billing", Address: "10.0.0.7:9999", Incarnation: incarnation, State: firjob.ExecutorActive}}))
}

// plan records a fire of the job.
func (i *installation) plan(in time.Duration) firjob.ExecutionID {
	i.t.Helper()
	at := i.now.Add(in).Truncate(time.Millisecond)
	id := firjob.Fire(i.job.ID, at)
	i.exec(`INSERT INTO executions (id, job_id, job_version, due_at) VALUES ($1, $2, 1, $3)`, id.String(), int32(i.job.ID), at)
	return id
}

func (i *installation) exec(sql string, args ...any) {
	i.t.Helper()
	conn, err := pgx.Connect(i.t.Context(), i.url)
	i.must(err)
	defer conn.Close(context.WithoutCancel(i.t.Context()))
	if _, err := conn.Exec(i.t.Context(), sql, args...); err != nil {
		i.t.Fatalf("%s: %v", sql, err)
	}
}

// examine returns the findings that are not fine. That the tests' Postgres
// takes no care of its data is left out.
func (i *installation) examine() []app.Finding {
	i.t.Helper()
	all := app.Examine(i.t.Context(), app.Examination{DatabaseURL: i.url, RedisURL: i.redisURL, Local: time.Now, Pause: time.Millisecond})
	wantRemedies(i.t, all)
	return slices.DeleteFunc(all, func(f app.Finding) bool { return f.Verdict == app.Fine || f.Check == "postgres settings" })
}

// Each fault that is planted is found, named, and gone once it is repaired.
func TestExamineFindsFaults(t *testing.T) {
	t.Parallel()
	zadd := func(i *installation, key string, id firjob.ExecutionID, at time.Time) {
		i.must(i.raw.ZAdd(i.t.Context(), key, redis.Z{Member: id.String(), Score: float64(at.UnixMilli())}).Err())
	}
	running := func(i *installation, set string) {
		id := i.plan(-time.Second)
		i.exec(`UPDATE executions SET state = 'running', lease_until = now() + interval '1 hour' WHERE id = $1`, id.String())
		i.exec(`UPDATE executions SET `+set+` WHERE id = $1`, id.String())
	}
	end := func(i *installation) {
		i.exec(`UPDATE executions SET state = 'lost', finished_at = now() WHERE id <> $1`, i.nextMinute.String())
	}
	due := func(i *installation) string { return fmt.Sprintf("fj:{s%d}:due", i.job.ID.Shard(8)) }
	unlink := func(keys ...string) func(*installation) {
		return func(i *installation) { i.must(i.raw.Unlink(i.t.Context(), keys...).Err()) }
	}
	tests := map[string]struct {
		plant  func(*installation)
		want   string // the check, its verdict
		says   string
		repair func(*installation)
	}{
		"an overdue execution": {func(i *installation) {
			id := i.plan(-time.Minute)
			zadd(i, due(i), id, id.ScheduledAt())
		}, "executions fail", "overdue and not claimed: 1, the earliest 0", func(i *installation) {
			end(i)
			i.must(i.raw.ZRemRangeByScore(i.t.Context(), due(i), "0", fmt.Sprint(time.Now().UnixMilli())).Err())
		}},
		"an orphan":           {func(i *installation) { running(i, `lease_until = now() - interval '1 min'`) }, "executions fail", "held by nobody: 1", end},
		"a stuck one":         {func(i *installation) { running(i, `deadline_at = now() - interval '1 min'`) }, "executions fail", "past their timeout", end},
		"a vanished executor": {func(i *installation) { running(i, `executor = '10.0.0.9:1', incarnation = 'gone'`) }, "executions fail", "on an executor that is gone", end},
		"an unknown id": {func(i *installation) {
			zadd(i, due(i), firjob.Fire(i.job.ID, i.now.Add(time.Hour)), i.now.Add(time.Hour))
		}, "index warn", "unknown to Postgres: 1", func(i *installation) {
			i.must(i.raw.ZRemRangeByRank(i.t.Context(), due(i), -1, -1).Err())
		}},
		"an ended id": {func(i *installation) {
			id := i.plan(-time.Minute)
			end(i)
			zadd(i, fmt.Sprintf("fj:{s%d}:lease", i.job.ID.Shard(8)), id, id.ScheduledAt())
		}, "index warn", "ended in Postgres: 1", func(i *installation) { unlink(fmt.Sprintf("fj:{s%d}:lease", i.job.ID.Shard(8)))(i) }},
		"an emptied Redis": {func(i *installation) { i.must(i.raw.FlushAll(i.t.Context()).Err()) }, "index warn", "not in Redis", func(i *installation) {
			i.must(i.queue.Announce(i.t.Context(), []firjob.Due{{ID: i.nextMinute, At: i.nextMinute.ScheduledAt()}}))
		}},
		"a key of an app that is gone": {func(i *installation) { i.must(i.raw.Set(i.t.Context(), "fj:turn:{gone}", 1, 0).Err()) },
			"redis keys warn", "no such app", unlink("fj:turn:{gone}")},
		"a shard beyond the setting": {func(i *installation) { zadd(i, "fj:{s8}:due", i.nextMinute, i.now) },
			"redis keys warn", "no such shard", unlink("fj:{s8}:due")},
		"a key of somebody else": {func(i *installation) { i.must(i.raw.Set(i.t.Context(), "fj:lock", 1, 0).Err()) },
			"redis keys warn", "no key of ours", unlink("fj:lock")},
		"no executor": {func(i *installation) { i.exec(`DELETE FROM executors`) }, "executors fail", "app billing has no live executor", func(i *installation) { i.beat("b") }},
		"a missing day": {func(i *installation) {
			i.exec(`DO $$ BEGIN EXECUTE format('DROP TABLE executions_%s', to_char((now() AT TIME ZONE 'UTC') + interval '3 days', 'YYYYMMDD')); END $$`)
		}, "partitions warn", "missing: executions_", func(i *installation) {
			i.must(i.db.MaintainPartitions(i.t.Context(), 3, 30*24*time.Hour))
		}},
		"a day that should be gone": {func(i *installation) {
			i.exec(`CREATE TABLE executions_20200101 PARTITION OF executions FOR VALUES FROM ('` +
				firjob.FirstIDAt(time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)).String() + `') TO ('` + firjob.FirstIDAt(time.Date(2020, 1, 2, 0, 0, 0, 0, time.UTC)).String() + `')`)
		}, "partitions warn", "older than the retention", func(i *installation) {
			i.must(i.db.MaintainPartitions(i.t.Context(), 3, 30*24*time.Hour))
		}},
		"a default partition": {func(i *installation) { i.exec(`CREATE TABLE executions_rest PARTITION OF executions DEFAULT`) },
			"partitions warn", "executions_rest", func(i *installation) { i.exec(`DROP TABLE executions_rest`) }},
		"a default partition with rows": {func(i *installation) {
			i.exec(`CREATE TABLE executions_rest PARTITION OF executions DEFAULT;
				INSERT INTO executions (id, job_id, job_version, due_at, state, finished_at) VALUES ('ffffffff-ffff-8fff-bfff-ffffffffffff', 1, 1, now(), 'lost', now())`)
		}, "partitions fail", "holds rows", func(i *installation) { i.exec(`DROP TABLE executions_rest`) }},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := install(t)
			if got := i.examine(); len(got) != 0 {
				t.Fatalf("before: %+v, want nothing", got)
			}
			tt.plant(i)
			got := i.examine()
			if diff := cmp.Diff([]string{tt.want}, verdicts(got)); diff != "" {
				t.Errorf("findings %+v (-want +got):\n%s", got, diff)
			}
			if all := fmt.Sprintf("%+v", got); !strings.Contains(all, tt.says) {
				t.Errorf("findings %s, want %q in them", all, tt.says)
			}
			tt.repair(i)
			if got := i.examine(); len(got) != 0 {
				t.Errorf("after the repair: %+v, want nothing", got)
			}
		})
	}
}

// Looking changes nothing, not even what is clearly wrong: users that may do
// nothing but read find the same.
func TestExamineWritesNothing(t *testing.T) {
	t.Parallel()
	i := install(t)
	i.must(i.raw.Set(t.Context(), fmt.Sprintf("fj:{s%d}:lease", i.job.ID.Shard(8)), "of another type", 0).Err())
	i.must(i.raw.Set(t.Context(), "fj:lock", 1, 0).Err())
	before := verdicts(i.examine())
	i.must(i.raw.Do(t.Context(), "ACL", "SETUSER", "reader", "on", ">secret", "~*", "&*", "+@read", "+@connection", "+info", "+time", "-@write").Err())
	i.redisURL = strings.Replace(i.redisURL, "redis://", "redis://reader:secret@", 1)
	pg, err := url.Parse(i.url)
	i.must(err)
	name := "reader_" + strings.ToLower(rand.Text())
	i.exec(`CREATE ROLE ` + name + ` LOGIN; GRANT pg_read_all_stats TO ` + name + `; GRANT SELECT ON ALL TABLES IN SCHEMA public TO ` + name)
	pg.User = url.User(name)
	owner := i.url
	i.url = pg.String()
	after := verdicts(i.examine())
	i.url = owner
	i.exec(`DROP OWNED BY ` + name + `; DROP ROLE ` + name)
	if diff := cmp.Diff(before, after); diff != "" || len(before) != 2 {
		t.Errorf("found before %v; by users that may only read (-want +got):\n%s", before, diff)
	}
}

// A user that may not look is told so; that is no failure.
func TestExamineWithoutRights(t *testing.T) {
	t.Parallel()
	i := install(t)
	i.must(i.raw.Do(t.Context(), "ACL", "SETUSER", "least", "on", ">secret", "~fj:*", "&*", "+@all", "-scan").Err())
	i.redisURL = strings.Replace(i.redisURL, "redis://", "redis://least:secret@", 1)
	got := i.examine()
	if diff := cmp.Diff([]string{"redis keys warn"}, verdicts(got)); diff != "" || !strings.Contains(got[0].Remedy, "may SCAN") {
		t.Errorf("findings %+v (-want +got):\n%s", got, diff)
	}
}

// The passwords of URLs are not shown.
func TestExamineHidesPasswords(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"127.0.0.1:1/d", "%zz", "127.0.0.1:port/d"} {
		got := fmt.Sprintf("%+v", app.Examine(t.Context(), app.Examination{DatabaseURL: "postgres://u:s3cret@" + url, RedisURL: "redis://u:s3cret@" + url, Local: time.Now}))
		if strings.Contains(got, "s3cret") {
			t.Errorf("the findings hold the password: %s", got)
		}
	}
}
