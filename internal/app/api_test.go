package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/httpapi"
	"github.com/firjob/firjob/internal/localstack/stacktest"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/storage"
)

// The API over the real store: what only the two together can show.

// api is a surface over a database of the test's own, and a scheduler that only
// notes what it is told.
type api struct {
	httpapi.Scheduler
	t       *testing.T
	db      *storage.DB
	url     string
	handler http.Handler

	mu   sync.Mutex
	told []string
}

func newAPI(t *testing.T) *api {
	t.Helper()
	a := &api{t: t, url: stacktest.Database(t, storage.Migrate)}
	var err error
	if a.db, err = storage.Open(t.Context(), storage.Options{URL: a.url, MaxConns: 16}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.db.Close)
	a.handler = httpapi.New(httpapi.Options{Store: a.db, Scheduler: a})
	a.must(http.StatusCreated, "POST", "/apps", `{"name":"billing"}`, nil)
	return a
}

func (a *api) tell(what string, n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.told = append(a.told, fmt.Sprintf("%s %d", what, n))
}

func (a *api) JobChanged(_ context.Context, ids ...firjob.JobID)          { a.tell("jobs", len(ids)) }
func (a *api) Announce(_ context.Context, due ...firjob.Due)              { a.tell("due", len(due)) }
func (a *api) Cancel(_ context.Context, _ string, l ...firjob.AttemptRef) { a.tell("cancel", len(l)) }
func (a *api) ExecutorMarked(context.Context, firjob.Mark)                { a.tell("mark", 1) }
func (a *api) Executors(context.Context, string, ports.ExecutorFilter) ([]ports.ExecutorView, error) {
	return nil, nil
}
func (a *api) Horizon() time.Duration   { return time.Minute }
func (a *api) Retention() time.Duration { return 30 * 24 * time.Hour }

// call sends a request, for whatever version there is, and returns the answer.
// headers are pairs of name and value.
func (a *api) call(method, path, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/api/v1"+path, strings.NewReader(body))
	r.Header.Set("If-Match", "*")
	for pair := range slices.Chunk(headers, 2) {
		r.Header.Set(pair[0], pair[1])
	}
	w := httptest.NewRecorder()
	a.handler.ServeHTTP(w, r)
	return w
}

// must calls and decodes the answer, if into is not nil.
func (a *api) must(status int, method, path, body string, into any, headers ...string) *httptest.ResponseRecorder {
	a.t.Helper()
	w := a.call(method, path, body, headers...)
	if w.Code != status {
		a.t.Fatalf("%s %s: got %d, want %d: %s", method, path, w.Code, status, w.Body)
	}
	if into != nil {
		if err := json.Unmarshal(w.Body.Bytes(), into); err != nil {
			a.t.Fatalf("%s %s: %v in %s", method, path, err, w.Body)
		}
	}
	return w
}

// contents returns a digest of each table.
func (a *api) contents() map[string]string {
	a.t.Helper()
	conn, err := pgx.Connect(a.t.Context(), a.url)
	if err != nil {
		a.t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(a.t.Context()))
	rows, _ := conn.Query(a.t.Context(), `SELECT relname::text FROM pg_class
		WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition`)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(tables) < 10 {
		a.t.Fatalf("found the tables %v, %v", tables, err)
	}
	digests := map[string]string{}
	for _, table := range tables {
		var digest string
		sql := `SELECT count(*) || ' rows, ' || coalesce(md5(string_agg(t::text, E'\n' ORDER BY t::text)), '') FROM ` + table + ` AS t`
		if err := conn.QueryRow(a.t.Context(), sql).Scan(&digest); err != nil {
			a.t.Fatal(err)
		}
		digests[table] = digest
	}
	return digests
}

func (a *api) exec(sql string, args ...any) {
	a.t.Helper()
	conn, err := pgx.Connect(a.t.Context(), a.url)
	if err != nil {
		a.t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(a.t.Context()))
	if _, err := conn.Exec(a.t.Context(), sql, args...); err != nil {
		a.t.Fatal(err)
	}
}

func job(name, schedule string) string {
	return fmt.Sprintf(`{"app":"billing","name":%q,"handler":"report","schedule":%s}`, name, schedule)
}

// fail runs an execution of a job, which fails for good.
func (a *api) fail(id firjob.JobID) firjob.ExecutionID {
	a.t.Helper()
	e, _, err := a.db.Trigger(a.t.Context(), ports.TriggerRequest{Job: id, Horizon: time.Minute})
	if err != nil {
		a.t.Fatal(err)
	}
	claimed, err := a.db.Claim(a.t.Context(), []firjob.ExecutionID{e.ID}, ports.ClaimBy{Replica: "r", Lease: time.Minute})
	if err != nil || len(claimed.Claimed) != 1 {
		a.t.Fatalf("claim: %+v, %v", claimed, err)
	}
	_, err = a.db.Finish(a.t.Context(), []ports.FinishItem{{Executor: firjob.ExecutorKey{App: "billing", Address: "10.0.0.7:9999", Incarnation: "a"},
		Result: firjob.Result{ID: e.ID, Token: claimed.Claimed[0].Trigger.Token, Outcome: firjob.OutcomeFailed, Error: "no paper"}}})
	if err != nil {
		a.t.Fatal(err)
	}
	return e.ID
}

// scene makes one of everything and returns a request that would change it for
// each operation of the API that changes something.
func (a *api) scene() map[string][2]string {
	a.t.Helper()
	a.must(http.StatusCreated, "POST", "/apps", `{"name":"idle"}`, nil)
	a.must(http.StatusCreated, "POST", "/jobs", job("due", `{"kind":"every","interval":"1s"}`), nil)
	a.must(http.StatusCreated, "POST", "/jobs", job("paused", `{"kind":"manual"}`), nil)
	a.must(http.StatusOK, "POST", "/jobs/2/pause", "", nil)
	a.must(http.StatusCreated, "POST", "/calendars", `{"name":"night","dates":[{"from":"2001-01-01"}]}`, nil)
	a.must(http.StatusCreated, "POST", "/calendars", `{"name":"idle","weekdays":["sun"]}`, nil)
	a.must(http.StatusCreated, "POST", "/jobs", job("calm", `{"kind":"cron","expr":"@hourly","calendars":["night"]}`), nil)
	var planned struct{ ID string }
	a.must(http.StatusCreated, "POST", "/jobs/1/trigger", `{"delay":"30s"}`, &planned)
	failed, dead, dismissed := a.fail(1), a.fail(1), a.fail(1)
	var backfill struct{ ID int }
	until := time.Now().UTC().Truncate(time.Hour)
	days := fmt.Sprintf(`{"from":%q,"until":%q}`, until.Add(-5*time.Hour).Format(time.RFC3339), until.Format(time.RFC3339))
	w := a.call("POST", "/jobs/3/backfill", days)
	if err := json.Unmarshal(w.Body.Bytes(), &backfill); err != nil || w.Code >= 300 {
		a.t.Fatalf("backfill: %d %s", w.Code, w.Body)
	}
	ids := func(id firjob.ExecutionID) string { return fmt.Sprintf(`{"ids":[%q]}`, id) }
	return map[string][2]string{
		"POST /apps":         {"/apps", `{"name":"mail"}`},
		"PATCH /apps/{app}":  {"/apps/billing", `{"max_running":3}`},
		"DELETE /apps/{app}": {"/apps/idle", ``},
		"PUT /apps/{app}/executors/{address}/state": {"/apps/billing/executors/10.0.0.7:9999/state", `{"state":"cordoned"}`},
		"POST /jobs":                    {"/jobs", job("new", `{"kind":"every","interval":"1s"}`)},
		"POST /jobs:batch":              {"/jobs:batch", `{"jobs":[` + job("b1", `{"kind":"every","interval":"1s"}`) + `,` + job("b2", `{"kind":"never"}`) + `]}`},
		"PATCH /jobs/{id}":              {"/jobs/1", `{"schedule":{"interval":"2s"},"selector":{"zone":"a"}}`},
		"DELETE /jobs/{id}":             {"/jobs/1", ``},
		"POST /jobs/{id}/pause":         {"/jobs/1/pause", ``},
		"POST /jobs/{id}/resume":        {"/jobs/2/resume", ``},
		"POST /jobs/{id}/trigger":       {"/jobs/1/trigger", `{"params":1}`},
		"POST /jobs/{id}/trigger:batch": {"/jobs/1/trigger:batch", `{"items":[{},{"delay":"2h"},{"idempotency_key":"k"}]}`},
		"POST /jobs/{id}/backfill":      {"/jobs/3/backfill", days},
		"POST /backfills/{id}/cancel":   {fmt.Sprintf("/backfills/%d/cancel", backfill.ID), ``},
		"POST /executions/{id}/cancel":  {"/executions/" + planned.ID + "/cancel", ``},
		"POST /executions/{id}/retry":   {"/executions/" + failed.String() + "/retry", ``},
		"POST /dead-letters:redrive":    {"/dead-letters:redrive", ids(dead)},
		"POST /dead-letters:dismiss":    {"/dead-letters:dismiss", ids(dismissed)},
		"POST /calendars":               {"/calendars", `{"name":"day","hours":[{"from":"08:00","until":"18:00"}]}`},
		"PATCH /calendars/{name}":       {"/calendars/night", `{"dates":[{"from":"2001-01-02"}]}`},
		"DELETE /calendars/{name}":      {"/calendars/idle", ``},
	}
}

// writeOperations lists the operations that change something, as the API tells
// them. A preview is a question, though it is posted.
func (a *api) writeOperations() (list []string) {
	w := httptest.NewRecorder()
	a.handler.ServeHTTP(w, httptest.NewRequest("GET", "/openapi.json", nil))
	var document struct {
		Paths map[string]map[string]any
	}
	if err := json.Unmarshal(w.Body.Bytes(), &document); err != nil {
		a.t.Fatal(err)
	}
	for path, operations := range document.Paths {
		short, ours := strings.CutPrefix(path, "/api/v1")
		for method := range operations {
			if ours && method != "get" && path != "/api/v1/schedules/preview" {
				list = append(list, strings.ToUpper(method)+" "+short)
			}
		}
	}
	slices.Sort(list)
	return list
}

func TestDryRunsStoreNothing(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	scene := a.scene()
	if diff := cmp.Diff(a.writeOperations(), slices.Sorted(maps.Keys(scene))); diff != "" {
		t.Fatalf("the operations that change something (-API +this test):\n%s", diff)
	}
	before := a.contents()
	a.told = nil
	answers := map[string]string{}
	for operation, request := range scene {
		method, _, _ := strings.Cut(operation, " ")
		w := a.call(method, request[0]+"?dry_run=true", request[1], "Idempotency-Key", "dry "+operation)
		if w.Code >= 300 || w.Header().Get("Firjob-Dry-Run") != "true" {
			t.Errorf("%s: got %d, marked %q: %s", operation, w.Code, w.Header().Get("Firjob-Dry-Run"), w.Body)
		}
		answers[operation] = fmt.Sprint(w.Code)
		if diff := cmp.Diff(before, a.contents()); diff != "" {
			t.Errorf("%s has changed (-before +after):\n%s", operation, diff)
		}
	}
	if len(a.told) > 0 {
		t.Errorf("the scheduler was told %v", a.told)
	}
	// The same for once not dry: each answers alike, and leaves its mark.
	operations := slices.Sorted(maps.Keys(scene))
	slices.SortStableFunc(operations, func(x, y string) int { return strings.Count(x, "DELETE") - strings.Count(y, "DELETE") })
	for _, operation := range operations {
		method, _, _ := strings.Cut(operation, " ")
		before := a.contents()
		w := a.call(method, scene[operation][0], scene[operation][1])
		if got := fmt.Sprint(w.Code); got != answers[operation] || w.Header().Get("Firjob-Dry-Run") != "" {
			t.Errorf("%s: answers %s, and dry %s: %s", operation, got, answers[operation], w.Body)
		}
		if cmp.Equal(before, a.contents()) {
			t.Errorf("%s changed nothing: the test shows nothing", operation)
		}
	}
}

// Requests with one key that come at once are carried out once: some may be told
// to ask again, none makes a second job.
func TestConcurrentRequestsWithOneKey(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	const n = 16
	var all sync.WaitGroup
	codes := make([]int, n)
	for i := range n {
		all.Go(func() {
			codes[i] = a.call("POST", "/jobs", job("one", `{"kind":"manual"}`), "Idempotency-Key", "k1").Code
		})
	}
	all.Wait()
	for _, code := range codes {
		if code != http.StatusCreated && code != http.StatusConflict {
			t.Errorf("got the statuses %v, want 201 and 409 alone", codes)
			break
		}
	}
	var jobs struct{ Items []firjob.Job }
	a.must(http.StatusOK, "GET", "/jobs", "", &jobs)
	if len(jobs.Items) != 1 {
		t.Errorf("%d jobs were made", len(jobs.Items))
	}
	w := a.must(http.StatusCreated, "POST", "/jobs", job("one", `{"kind":"manual"}`), nil, "Idempotency-Key", "k1")
	if w.Header().Get("Idempotent-Replayed") != "true" || w.Header().Get("ETag") != `"1"` || w.Header().Get("Location") != "/api/v1/jobs/1" {
		t.Errorf("asked again: got the headers %v", w.Header())
	}
}

func TestWhatBecomesOfAKey(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	one := job("one", `{"kind":"manual"}`)
	problem := func(status int, code firjob.Code, path, body, key, says string) {
		t.Helper()
		var p struct {
			Code   firjob.Code
			Detail string
		}
		a.must(status, "POST", path, body, &p, "Idempotency-Key", key)
		if p.Code != code || !strings.Contains(p.Detail, says) {
			t.Errorf("POST %s: got code %q, %q; want %q, %q", path, p.Code, p.Detail, code, says)
		}
	}
	// What fails leaves the key free.
	problem(422, firjob.CodeInvalid, "/jobs", strings.Replace(one, "billing", "nobody", 1), "k1", "faulty")
	first := a.must(201, "POST", "/jobs", one, nil, "Idempotency-Key", "k1")
	if again := a.must(201, "POST", "/jobs", one, nil, "Idempotency-Key", "k1"); again.Body.String() != first.Body.String() {
		t.Errorf("asked again: got %s, want %s", again.Body, first.Body)
	}
	problem(422, firjob.CodeKeyReused, "/jobs", job("two", `{"kind":"manual"}`), "k1", "another request")
	problem(409, firjob.CodeConflict, "/jobs", one, "k2", "has a job of that name")

	// The answer was lost before it was recorded: nothing is done again.
	a.exec(`UPDATE idempotent_requests SET status = NULL, headers = NULL, body = NULL`)
	problem(409, firjob.CodeConflict, "/jobs", one, "k1", "was carried out")

	// A secret is shown once.
	a.must(201, "POST", "/apps", `{"name":"mail"}`, nil, "Idempotency-Key", "k1")
	problem(409, firjob.CodeConflict, "/apps", `{"name":"mail"}`, "k1", "held a secret, which is shown once")

	// A day later the key is another one, also before it is purged.
	a.exec(`UPDATE idempotent_requests SET created_at = now() - interval '25 hours'`)
	problem(409, firjob.CodeConflict, "/jobs", one, "k1", "has a job of that name")
	a.must(201, "POST", "/jobs", job("two", `{"kind":"manual"}`), nil, "Idempotency-Key", "k1")
	a.exec(`UPDATE idempotent_requests SET created_at = now() - interval '25 hours'`)
	if err := a.db.MaintainPartitions(t.Context(), 1, 30*24*time.Hour); err != nil {
		t.Fatal(err)
	}
	if got := a.contents()["idempotent_requests"]; !strings.HasPrefix(got, "0 rows") {
		t.Errorf("after the purge: %s", got)
	}
}

// lost is a connection whose client is gone before the answer.
type lost struct{ *httptest.ResponseRecorder }

func (lost) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestReplayAfterALostAnswer(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	r := httptest.NewRequest("POST", "/api/v1/jobs", strings.NewReader(job("one", `{"kind":"manual"}`)))
	r.Header.Set("Idempotency-Key", "k1")
	a.handler.ServeHTTP(lost{httptest.NewRecorder()}, r)
	var made firjob.Job
	w := a.must(201, "POST", "/jobs", job("one", `{"kind":"manual"}`), &made, "Idempotency-Key", "k1")
	if made.ID != 1 || w.Header().Get("Idempotent-Replayed") != "true" {
		t.Errorf("got job %d, replayed %q", made.ID, w.Header().Get("Idempotent-Replayed"))
	}
}

// Of two who have read one version, one changes it.
func TestLostUpdatesAreRefused(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	etag := a.must(201, "POST", "/jobs", job("one", `{"kind":"manual"}`), nil).Header().Get("ETag")
	const n = 8
	codes := make([]int, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			codes[i] = a.call("PATCH", "/jobs/1", fmt.Sprintf(`{"priority":%d}`, i), "If-Match", etag).Code
		})
	}
	all.Wait()
	slices.Sort(codes)
	want := append([]int{200}, slices.Repeat([]int{412}, n-1)...)
	if !slices.Equal(codes, want) {
		t.Errorf("got %v, want %v", codes, want)
	}
	a.must(428, "DELETE", "/jobs/1", "", nil, "If-Match", "")
	a.must(412, "DELETE", "/jobs/1", "", nil, "If-Match", etag)
	a.must(204, "DELETE", "/jobs/1", "", nil, "If-Match", `"1", "2"`)
}

func TestABatchOf10000(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	var items []string
	for i := range 10_000 {
		switch {
		case i%1000 == 1: // faulty, by itself
			items = append(items, job("", `{"kind":"cron","expr":"61 * * * *"}`))
		case i%1000 == 2: // faulty, as the store knows
			items = append(items, strings.Replace(job(fmt.Sprint("n", i), `{"kind":"manual"}`), "billing", "nobody", 1))
		case i%1000 == 3: // twice
			items = append(items, job(fmt.Sprint("n", i-3), `{"kind":"manual"}`))
		default:
			items = append(items, job(fmt.Sprint("n", i), `{"kind":"cron","expr":"0 2 * * *"}`))
		}
	}
	body := `{"jobs":[` + strings.Join(items, ",") + `]}`
	var got struct {
		Stored, Failed int
		Items          []struct {
			Status int
			Job    *firjob.Job
			Error  *struct{ Code firjob.Code }
		}
	}
	began := time.Now()
	a.must(200, "POST", "/jobs:batch", body, &got, "Idempotency-Key", "k1")
	t.Logf("10000 jobs in %v", time.Since(began))
	if got.Stored != 9970 || got.Failed != 30 || len(got.Items) != 10_000 {
		t.Fatalf("stored %d, failed %d, of %d", got.Stored, got.Failed, len(got.Items))
	}
	for i, status := range map[int]int{1: 422, 2: 422, 3: 409, 4: 201, 9001: 422, 9003: 409, 9999: 201} {
		if got.Items[i].Status != status || (got.Items[i].Job != nil) != (status == 201) {
			t.Errorf("item %d: got %+v, want status %d", i, got.Items[i], status)
		}
	}
	if rows := a.contents()["jobs"]; !strings.HasPrefix(rows, "9970 rows") {
		t.Errorf("stored: %s", rows)
	}
	again := a.must(200, "POST", "/jobs:batch", body, nil, "Idempotency-Key", "k1")
	if again.Header().Get("Idempotent-Replayed") != "true" {
		t.Error("the answer to the batch was not kept")
	}
	atomic := `{"atomic":true,"jobs":[` + job("fresh", `{"kind":"manual"}`) + `,` + job("n0", `{"kind":"manual"}`) + `]}`
	a.must(422, "POST", "/jobs:batch", atomic, nil)
	if rows := a.contents()["jobs"]; !strings.HasPrefix(rows, "9970 rows") {
		t.Errorf("after an atomic batch with a fault: %s", rows)
	}
}

func TestTriggerBatchOf10000(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	a.must(201, "POST", "/jobs", job("one", `{"kind":"manual"}`), nil)
	items := make([]string, 10_000)
	for i := range items {
		items[i] = fmt.Sprintf(`{"params":%d,"idempotency_key":"k%d","delay":"%ds"}`, i, i%9_000, i/9_000*3600)
	}
	body := `{"items":[` + strings.Join(items, ",") + `]}`
	var got struct{ Stored, Failed int }
	began := time.Now()
	a.must(200, "POST", "/jobs/1/trigger:batch", body, &got)
	t.Logf("10000 triggers in %v", time.Since(began))
	if got.Stored != 9_000 || got.Failed != 1_000 { // those with a key that has other params
		t.Errorf("got %+v, want 9000 stored and 1000 that reuse a key", got)
	}
	a.must(200, "POST", "/jobs/1/trigger:batch", body, &got)
	if rows := a.contents()["executions"]; !strings.HasPrefix(rows, "9000 rows") {
		t.Errorf("after a repeat: %s", rows)
	}
}
