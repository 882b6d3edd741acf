package app

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firjob/firjob/redisq"
	"github.com/firjob/firjob/storage/inspect"
)

// What no server of the tests can be brought to say.
func TestRareFindings(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		judge func(*exam)
		want  Verdict
	}{
		"Postgres 13":               {func(x *exam) { x.postgresVersion(inspect.Facts{Version: "13.9", VersionNum: 130009}) }, Broken},
		"Postgres 14":               {func(x *exam) { x.postgresVersion(inspect.Facts{Version: "14.0", VersionNum: 140000}) }, Fine},
		"a transaction of an hour":  {func(x *exam) { x.transactions(inspect.Facts{OldestTx: time.Hour, OldestBy: "psql"}) }, Doubtful},
		"a transaction of a minute": {func(x *exam) { x.transactions(inspect.Facts{OldestTx: time.Minute}) }, Fine},
		"track_counts is off":       {func(x *exam) { x.postgresSettings(map[string]string{"track_counts": "off"}) }, Doubtful},
		"Redis 6": {func(x *exam) {
			x.redisServer(redisq.Server{Software: "redis", Version: "6.2.7", Eviction: "noeviction"})
		}, Broken},
		"Valkey 8": {func(x *exam) {
			x.redisServer(redisq.Server{Software: "valkey", Version: "8.1.1", Eviction: "noeviction"})
		}, Fine},
		"a Redis that tells nothing": {func(x *exam) { x.redisServer(redisq.Server{Software: "redis", Version: "7.2.0"}) }, Doubtful},
		"an append-only file":        {func(x *exam) { x.redisDisk(redisq.Server{Eviction: "noeviction", AppendOnly: true}) }, Fine},
		"an append-only file that cannot be written": {func(x *exam) {
			x.redisDisk(redisq.Server{Eviction: "noeviction", AppendOnly: true, SaveFault: "aof_last_write_status is err"})
		}, Doubtful},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := &exam{}
			tt.judge(x)
			if len(x.findings) != 1 || x.findings[0].Verdict != tt.want || (x.findings[0].Remedy == "") != (tt.want == Fine) {
				t.Errorf("got %+v, want one finding, %s", x.findings, tt.want)
			}
		})
	}
}

// A check that takes long is told of, once, and its time is bounded.
func TestSlowChecksAreToldOf(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told []string
		x := &exam{Examination: Examination{Progress: func(check string) { told = append(told, check) }}}
		x.timed(t.Context(), "quick", 0, func(context.Context) { time.Sleep(slowCheck - time.Millisecond) })
		began := time.Now()
		x.timed(t.Context(), "slow", time.Second, func(ctx context.Context) { <-ctx.Done() })
		if took := time.Since(began); took != examPatience+time.Second {
			t.Errorf("the slow check took %v, want it ended after %v", took, examPatience+time.Second)
		}
		if len(told) != 1 || told[0] != "slow" {
			t.Errorf("told of %v, want the slow check alone", told)
		}
	})
}
