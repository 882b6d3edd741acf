package storage_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/firjob/firjob/storage"
)

// A password with a special character is the usual reason for a URL that does
// not work. The error says so, and never shows the password.
func TestPasswordsInURLs(t *testing.T) {
	t.Parallel()
	const encode = "percent-encoded"
	for _, test := range []struct{ url, want string }{
		{"postgres://firjob:sec/ret@db/firjob", encode},
		{"postgres://firjob:sec#ret@db/firjob", encode},
		{"postgres://firjob:sec?ret@db/firjob", encode},
		{"postgres://firjob:sec@ret@db/firjob", encode},
		{"postgres://firjob:sec%ret@db/firjob", encode},
		{"postgres://firjob:secret%@db/firjob", encode},
		{"postgresql://firjob:sec/ret@db/firjob", encode},
		{"postgres://firjob:12/ret@db/firjob", encode}, // the driver would ask the host firjob
		{"postgres://firjob:12#ret@db/firjob", encode},
		{"postgres://firjob:12?ret@db/firjob", encode},
		{"postgres://firjob:secret@db:port/firjob", "postgres://user:password@host:port/database"},
		{"mysql://firjob:secret@db/firjob", "postgres://user:password@host:port/database"},
	} {
		_, openErr := storage.Open(t.Context(), storage.Options{URL: test.url})
		for verb, err := range map[string]error{"open": openErr, "migrate": storage.Migrate(t.Context(), test.url)} {
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s %s: got %v, want it to say %q", verb, test.url, err, test.want)
			} else if strings.Contains(err.Error(), "ret") || strings.Contains(err.Error(), "12") {
				t.Errorf("%s %s: the error shows a part of the password: %v", verb, test.url, err)
			}
		}
	}
	for _, sound := range []string{
		"postgres://firjob:" + url.QueryEscape("sec/#?@%ret") + "@127.0.0.1:1/firjob",
		"postgres://127.0.0.1:1/firjob?user=a@b",
		"postgres://firjob@/firjob?host=%2Ftmp&application_name=a@b",
	} {
		db, err := storage.Open(t.Context(), storage.Options{URL: sound})
		if err != nil {
			t.Errorf("%s: %v, want it to be taken", sound, err)
			continue
		}
		db.Close()
	}
}
