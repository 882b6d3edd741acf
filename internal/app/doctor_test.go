package app_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob/internal/app"
	"github.com/firjob/firjob/internal/localstack"
	"github.com/firjob/firjob/internal/localstack/stacktest"
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

func TestExamine(t *testing.T) {
	t.Parallel()
	const nobody = "127.0.0.1:1"
	migrated := func(t *testing.T) string {
		url := stacktest.Database(t, nil)
		if err := storage.Migrate(t.Context(), url); err != nil {
			t.Fatal(err)
		}
		return url
	}
	redis := func(args ...string) func(*testing.T) string {
		return func(t *testing.T) string {
			r, err := localstack.StartRedis(t.Context(), localstack.RedisOptions{Ephemeral: true, Args: args})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = r.Stop(context.Background()) })
			return r.URL()
		}
	}
	text := func(url string) func(*testing.T) string { return func(*testing.T) string { return url } }
	standIn := func(t *testing.T) string {
		m, err := localstack.StartMiniredis(t.Context(), "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = m.Stop(context.Background()) })
		return m.URL()
	}
	fast := func() time.Time { return time.Now().Add(time.Minute) }
	tests := []struct {
		name            string
		postgres, redis func(*testing.T) string
		local           func() time.Time
		want            []string
		says            string // in what was found or in a remedy
	}{
		{"all is well", migrated, redis(), time.Now, []string{"postgres ok", "schema ok", "postgres clock ok", "redis ok", "redis clock ok"}, "noeviction"},
		{"nothing is named", text(""), text(""), time.Now, []string{"postgres warn", "redis warn"}, "set FIRJOB_DATABASE_URL"},
		{"nothing answers", text("postgres://" + nobody + "/d"), text("redis://" + nobody), time.Now, []string{"postgres fail", "redis fail"}, "start Postgres"},
		{"URLs that are none", text("mysql:/x"), text("http://x"), time.Now, []string{"postgres fail", "redis fail"}, "correct FIRJOB_REDIS_URL"},
		{"an empty database, a clock that is off", func(t *testing.T) string { return stacktest.Database(t, nil) }, redis(), fast,
			[]string{"postgres ok", "schema fail", "redis ok", "redis clock warn"}, "firjob migrate up"},
		{"keys may be evicted", text(""), redis("--maxmemory-policy", "allkeys-lru"), time.Now, []string{"postgres warn", "redis warn", "redis clock ok"}, "allkeys-lru"},
		{"a stand-in", text(""), standIn, time.Now, []string{"postgres warn", "redis fail", "redis clock ok"}, "stand-in"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := app.Examine(t.Context(), tt.postgres(t), tt.redis(t), tt.local)
			if diff := cmp.Diff(tt.want, verdicts(got)); diff != "" {
				t.Errorf("findings %+v (-want +got):\n%s", got, diff)
			}
			if all := fmt.Sprintf("%+v", got); !strings.Contains(all, tt.says) {
				t.Errorf("findings %s, want %q in them", all, tt.says)
			}
			for _, f := range got {
				if (f.Verdict == app.Fine) != (f.Remedy == "") {
					t.Errorf("%+v: want a remedy for what is not fine, and only for that", f)
				}
			}
		})
	}
}

// The passwords of URLs are not shown.
func TestExamineHidesPasswords(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"127.0.0.1:1/d", "%zz", "127.0.0.1:port/d"} {
		got := fmt.Sprintf("%+v", app.Examine(t.Context(), "postgres://u:s3cret@"+url, "redis://u:s3cret@"+url, time.Now))
		if strings.Contains(got, "s3cret") {
			t.Errorf("the findings hold the password: %s", got)
		}
	}
}
