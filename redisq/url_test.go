package redisq_test

import (
	"strings"
	"testing"

	"github.com/firjob/firjob/redisq"
)

func TestOpenRefusesOptions(t *testing.T) {
	t.Parallel()
	const secret = "s3cret"
	good := redisq.Options{URL: "redis://localhost", Shards: 1}
	tests := map[string]struct {
		change func(*redisq.Options)
		want   string
	}{
		"no scheme":           {func(o *redisq.Options) { o.URL = "user:s3cret@localhost:6379" }, "scheme"},
		"empty":               {func(o *redisq.Options) { o.URL = "" }, "scheme"},
		"other scheme":        {func(o *redisq.Options) { o.URL = "s3cret://localhost" }, "scheme"},
		"no host":             {func(o *redisq.Options) { o.URL = "redis://u:s3cret@" }, "host"},
		"bad port":            {func(o *redisq.Options) { o.URL = "redis://u:s3cret@localhost:port" }, "host"},
		"slash in password":   {func(o *redisq.Options) { o.URL = "redis://u:s3/s3cret@localhost" }, "%2F"},
		"slash first":         {func(o *redisq.Options) { o.URL = "redis://localhost/s3cret@localhost/0" }, "percent-encoded"},
		"query in password":   {func(o *redisq.Options) { o.URL = "redis://u:s3?s3cret@localhost" }, "? as %3F"},
		"query, with digits":  {func(o *redisq.Options) { o.URL = "redis://u:12?s3cret=1@localhost" }, "? as %3F"},
		"bad escape":          {func(o *redisq.Options) { o.URL = "redis://u:s3cret%zz@localhost" }, "write % as %25"},
		"bad db":              {func(o *redisq.Options) { o.URL = "redis://u:s3cret@localhost/first" }, "database"},
		"negative db":         {func(o *redisq.Options) { o.URL = "redis://u:s3cret@localhost/-1" }, "database"},
		"two hosts":           {func(o *redisq.Options) { o.URL = "redis://u:s3cret@h1,h2" }, "one host"},
		"unknown parameter":   {func(o *redisq.Options) { o.URL = "redis://u:s3cret@h1?timeout=1" }, `"timeout"`},
		"bad query":           {func(o *redisq.Options) { o.URL = "redis://u:s3cret@h1?%zz" }, "query"},
		"sentinel, no master": {func(o *redisq.Options) { o.URL = "redis+sentinel://u:s3cret@h1,h2/0" }, "master"},
		"cluster with db":     {func(o *redisq.Options) { o.URL = "redis+cluster://u:s3cret@h1,h2/1" }, "database 0"},
		"no shards":           {func(o *redisq.Options) { o.Shards = 0 }, "Shards 0"},
		"too many shards":     {func(o *redisq.Options) { o.Shards = 5000 }, "Shards 5000"},
		"brace in prefix":     {func(o *redisq.Options) { o.Prefix = "a{b}" }, "Prefix"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := good
			test.change(&o)
			c, err := redisq.Open(t.Context(), o)
			if err == nil {
				c.Close()
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %q does not say %q", err, test.want)
			}
			if strings.Contains(err.Error(), secret) {
				t.Errorf("error %q tells the password", err)
			}
		})
	}
}
