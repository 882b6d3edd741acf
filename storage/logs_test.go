package storage_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

var lineTime = time.Date(2027, 3, 1, 8, 0, 0, 0, time.UTC)

// chunk is n lines of an attempt, from a number on.
func chunk(a firjob.AttemptRef, first, n int) firjob.LogChunk {
	c := firjob.LogChunk{AttemptRef: a, First: int64(first)}
	for i := range n {
		c.Lines = append(c.Lines, firjob.LogLine{At: lineTime, Level: "INFO", Text: fmt.Sprintf("line %d", first+i)})
	}
	return c
}

func (s *store) append(limit int, chunks ...firjob.LogChunk) []firjob.AttemptRef {
	s.t.Helper()
	cut, err := s.AppendLogs(s.t.Context(), app, chunks, limit)
	if err != nil {
		s.t.Fatal(err)
	}
	return cut
}

func (s *store) logs(id firjob.ExecutionID, filter ports.LogFilter) ports.LogPage {
	s.t.Helper()
	if filter.Limit == 0 {
		filter.Limit = 10_000
	}
	page, err := s.Logs(s.t.Context(), id, filter)
	if err != nil {
		s.t.Fatal(err)
	}
	return page
}

// placesOf names the lines of a page as attempt:number.
func placesOf(page ports.LogPage) (list []string) {
	for _, l := range page.Lines {
		list = append(list, fmt.Sprintf("%d:%d", l.Attempt, l.Cursor.Line))
	}
	return list
}

func TestLogsAreStoredOnce(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, id := s.fire(nil)
	a := s.mustClaim(id)
	line := firjob.LogLine{At: lineTime, Level: "WARN", Text: "no paper", Attrs: json.RawMessage(`{"tray":2}`)}
	first := firjob.LogChunk{AttemptRef: a, First: 1, Lines: []firjob.LogLine{line}}
	together(4, func(int) {
		if _, err := s.AppendLogs(t.Context(), app, []firjob.LogChunk{first, chunk(a, 2, 3)}, firjob.MaxLog); err != nil {
			t.Error(err)
		}
	})
	page := s.logs(id, ports.LogFilter{})
	if diff := cmp.Diff([]string{"1:1", "1:2", "1:3", "1:4"}, placesOf(page)); diff != "" {
		t.Fatalf("lines (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(line, page.Lines[0].LogLine); diff != "" {
		t.Errorf("the first line (-want +got):\n%s", diff)
	}
	if page.Ended || page.State != firjob.StateRunning || page.Cut != 0 {
		t.Errorf("got %+v, want an open log of a running execution", page)
	}
	s.wantReceipt(a, firjob.OutcomeSucceeded, firjob.ReceiptRecorded)
	s.append(firjob.MaxLog, chunk(a, 5, 1)) // the last words may come after the result
	if page = s.logs(id, ports.LogFilter{After: page.Next}); !page.Ended || len(page.Lines) != 1 {
		t.Errorf("after the end: got %+v, want the one new line and the end", page)
	}
}

func TestLogsOfEarlierAttempts(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, id := s.fire(nil)
	a := s.mustClaim(id)
	if _, err := s.Lose(t.Context(), []firjob.AttemptRef{a}, "gone"); err != nil {
		t.Fatal(err)
	}
	b := s.mustClaim(id)
	s.append(firjob.MaxLog, chunk(b, 1, 1), chunk(a, 1, 2))
	if diff := cmp.Diff([]string{"1:1", "1:2", "2:1"}, placesOf(s.logs(id, ports.LogFilter{}))); diff != "" {
		t.Errorf("all attempts (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"2:1"}, placesOf(s.logs(id, ports.LogFilter{Attempt: 2}))); diff != "" {
		t.Errorf("the second attempt (-want +got):\n%s", diff)
	}
}

func TestLogsOfNobodyAreNotStored(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	if _, err := s.CreateApp(t.Context(), "other", []byte("hash"), []byte("key")); err != nil {
		t.Fatal(err)
	}
	_, id := s.fire(nil)
	a := s.mustClaim(id)
	newer, older := a, a
	newer.Token++
	older.Token--
	unknown := firjob.AttemptRef{ID: firjob.Fire(id.Job(), s.now().Add(time.Hour)), Token: 1}
	s.append(firjob.MaxLog, chunk(newer, 1, 1), chunk(older, 1, 1), chunk(unknown, 1, 1))
	if _, err := s.AppendLogs(t.Context(), "other", []firjob.LogChunk{chunk(a, 1, 1)}, firjob.MaxLog); err != nil {
		t.Fatal(err)
	}
	var rows int
	if s.query(`SELECT count(*) FROM execution_logs`, &rows); rows != 0 {
		t.Errorf("%d rows were stored, want none", rows)
	}
}

func TestLogsArePagedAndFiltered(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, id := s.fire(nil)
	a := s.mustClaim(id)
	levels := []string{"DEBUG", "INFO", "WARN", "ERROR", "INFO+2"}
	var want []string
	for i := range 120 { // a row each: more than one look reads
		c := chunk(a, i+1, 1)
		c.Lines[0].Level = levels[i%len(levels)]
		if i%len(levels) == 2 || i%len(levels) == 3 {
			want = append(want, fmt.Sprintf("1:%d", i+1))
		}
		s.append(firjob.MaxLog, c)
	}
	var got []string
	filter := ports.LogFilter{Level: slog.LevelWarn, MinLevel: true, Limit: 7}
	for more := true; more; {
		page := s.logs(id, filter)
		if len(page.Lines) > filter.Limit {
			t.Fatalf("a page has %d lines, more than %d", len(page.Lines), filter.Limit)
		}
		got, filter.After, more = append(got, placesOf(page)...), page.Next, page.More
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines of WARN and above (-want +got):\n%s", diff)
	}
}

func TestLogsAreCutAtTheOldEnd(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, id := s.fire(nil)
	a := s.mustClaim(id)
	const limit = 200 << 10
	long := func(first int) firjob.LogChunk {
		c := chunk(a, first, 1)
		c.Lines[0].Text = strings.Repeat("x", 10<<10)
		return c
	}
	if cut := s.append(limit, long(1)); len(cut) != 0 {
		t.Errorf("the first line cut %v", cut)
	}
	var cut []firjob.AttemptRef
	for i := 2; i <= 50; i++ {
		cut = append(cut, s.append(limit, long(i))...)
	}
	if len(cut) == 0 || cut[0] != a {
		t.Errorf("the executor was told of cuts of %v, want of %v", cut, a)
	}
	page := s.logs(id, ports.LogFilter{})
	kept := len(page.Lines)
	if kept < 16 || kept > 20 || page.Cut != int64(50-kept) || page.Lines[0].Cursor.Line != page.Cut+1 {
		t.Errorf("kept %d lines from %d on, %d are said to be cut; want about 18, and the others cut", kept, page.Lines[0].Cursor.Line, page.Cut)
	}
	var account, sum int
	s.query(`SELECT (SELECT bytes FROM execution_logs WHERE token = 0), (SELECT sum(bytes) FROM execution_logs WHERE token > 0)`, &account, &sum)
	if account != sum || sum > limit {
		t.Errorf("the account says %d bytes, there are %d; want the same, at most %d", account, sum, limit)
	}
	s.append(limit, long(1)) // a late repeat of what was cut
	if again := s.logs(id, ports.LogFilter{}); again.Lines[0].Cursor != page.Lines[0].Cursor {
		t.Errorf("a repeat of line 1 came back as %v", again.Lines[0].Cursor)
	}
}

// A reader that comes back with its cursor, however chunks were cut and pages
// were sized, reads each line once and in order.
func TestLogCursors(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, id := s.fire(nil)
	a := s.mustClaim(id)
	written := 0 // of the one log that all runs go on with
	rapid.Check(t, func(r *rapid.T) {
		cursor := ports.LogCursor{Token: a.Token, Line: int64(written)}
		var got, want []string
		total := written + rapid.IntRange(0, 40).Draw(r, "lines")
		for written < total {
			n := min(rapid.IntRange(1, 9).Draw(r, "chunk"), total-written)
			s.append(16<<20, chunk(a, written+1, n))
			for range n {
				written++
				want = append(want, fmt.Sprintf("1:%d", written))
			}
			if rapid.Bool().Draw(r, "read") {
				page := s.logs(id, ports.LogFilter{After: cursor, Limit: rapid.IntRange(1, 12).Draw(r, "page")})
				got, cursor = append(got, placesOf(page)...), page.Next
			}
		}
		got = append(got, placesOf(s.logs(id, ports.LogFilter{After: cursor}))...)
		if diff := cmp.Diff(want, got); diff != "" {
			r.Fatalf("lines (-want +got):\n%s", diff)
		}
	})
}

// One long chunk is stored in rows of bounded size, and its repeat is known.
func TestLongChunks(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, id := s.fire(nil)
	a := s.mustClaim(id)
	c := chunk(a, 1, 100)
	for i := range c.Lines {
		c.Lines[i].Text = strings.Repeat("\x00é", 4<<10)
	}
	s.append(16<<20, c)
	s.append(16<<20, c)
	if page := s.logs(id, ports.LogFilter{}); len(page.Lines) != 100 || page.Lines[99].Cursor.Line != 100 {
		t.Errorf("got %d lines, want 100", len(page.Lines))
	}
	var most int
	if s.query(`SELECT max(bytes) FROM execution_logs WHERE token > 0`, &most); most > 128<<10 {
		t.Errorf("the largest row has %d bytes", most)
	}
}

// Rows of a day that has executions and, from before logs came, no place for
// them.
func TestLogsMakeTheirPartition(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, id := s.fire(nil)
	a := s.mustClaim(id)
	s.exec(`DROP TABLE execution_logs_` + id.ScheduledAt().UTC().Format("20060102"))
	s.append(firjob.MaxLog, chunk(a, 1, 2))
	if page := s.logs(id, ports.LogFilter{}); len(page.Lines) != 2 {
		t.Errorf("got %d lines, want 2", len(page.Lines))
	}
}

// A day's logs come and go with its executions.
func TestPartitionsOfLogsComeAndGo(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.plan(s.job(nil), s.now().AddDate(0, 0, -40))
	days := func(table string) (list string) {
		s.query(`SELECT string_agg(replace(c.relname, '`+table+`_', ''), ' ' ORDER BY c.relname) FROM pg_inherits i
			JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = '`+table+`'::regclass`, &list)
		return list
	}
	before := days("execution_logs")
	if want := days("executions"); before != want {
		t.Errorf("logs have the days %s, executions %s", before, want)
	}
	if err := s.MaintainPartitions(t.Context(), 7, 30*24*time.Hour); err != nil {
		t.Fatal(err)
	}
	after := days("execution_logs")
	if want := days("executions"); after != want || strings.Contains(after, strings.Fields(before)[0]) {
		t.Errorf("after the maintenance logs have the days %s, executions %s; before it was %s", after, want, before)
	}
}

func TestLogsOfAnUnknownExecution(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, err := s.Logs(t.Context(), firjob.Fire(7, s.now()), ports.LogFilter{Limit: 1})
	wantCode(t, err, firjob.CodeNotFound)
}

func TestProgress(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, id := s.fire(nil)
	a := s.mustClaim(id)
	set := func(a firjob.AttemptRef, percent int, note string) {
		t.Helper()
		entry := firjob.ProgressEntry{AttemptRef: a, Percent: percent, Note: note}
		if err := s.SetProgress(t.Context(), app, []firjob.ProgressEntry{entry}); err != nil {
			t.Fatal(err)
		}
	}
	if p := s.get(id).Progress; p != nil {
		t.Errorf("before: got %+v, want none", p)
	}
	stale := a
	stale.Token--
	set(a, 40, "half-way")
	set(stale, 90, "nearly")
	if p := s.get(id).Progress; p == nil || p.Percent != 40 || p.Note != "half-way" || p.At.IsZero() {
		t.Errorf("got %+v, want 40 and half-way", p)
	}
	if p := s.logs(id, ports.LogFilter{}).Progress; p == nil || p.Percent != 40 {
		t.Errorf("beside the log: got %+v, want 40", p)
	}
	if _, err := s.Lose(t.Context(), []firjob.AttemptRef{a}, "gone"); err != nil {
		t.Fatal(err)
	}
	b := s.mustClaim(id)
	if p := s.get(id).Progress; p != nil {
		t.Errorf("the next attempt starts at %+v", p)
	}
	set(b, 10, "")
	s.wantReceipt(b, firjob.OutcomeSucceeded, firjob.ReceiptRecorded)
	set(b, 100, "done") // the result has overtaken it
	if p := s.get(id).Progress; p == nil || p.Percent != 100 || p.Note != "done" {
		t.Errorf("after the end: got %+v, want the last word", p)
	}
}
