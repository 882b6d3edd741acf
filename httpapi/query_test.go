package httpapi_test

import (
	"reflect"
	"testing"
)

// A fault of a query parameter names the parameter, what was given and what is
// allowed.
func TestFaultsOfQueryParameters(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]struct {
		location string
		value    any
		message  string
	}{
		"/apps?sort=name":             {"query.sort", "name", "is not a known parameter; there are page_size, page_token, q"},
		"/apps?sort=name&sort=id":     {"query.sort", []any{"name", "id"}, "is not a known parameter; there are page_size, page_token, q"},
		"/apps?sort":                  {"query.sort", "", "is not a known parameter; there are page_size, page_token, q"},
		"/apps/billing?expand=all":    {"query.expand", "all", "is not a known parameter; there are none"},
		"/apps?page_size=501":         {"query.page_size", 501.0, "must be at most 500"},
		"/apps?page_size=0":           {"query.page_size", 0.0, "must be at least 1"},
		"/apps?page_size=many":        {"query.page_size", "many", "must be a whole number such as 5"},
		"/apps?page_size=5.5":         {"query.page_size", "5.5", "must be a whole number such as 5"},
		"/jobs?page_token=%21garbage": {"query.page_token", "!garbage", "is not a page token of this list"},
		"/jobs?enabled=maybe":         {"query.enabled", "maybe", `must be one of true, false`},
		"/executions?since=yesterday": {"query.since", "yesterday", `"yesterday" is not a time such as 2027-01-01T00:00:00Z`},
		"/executions?job=x":           {"query.job", "x", "must be a whole number such as 5"},
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			s := newSurface(t)
			s.job(goodJob)
			p := s.call("GET", "/api/v1"+path, "").want(422).problem()
			if len(p.Errors) != 1 {
				t.Fatalf("got %+v, want one fault", p.Errors)
			}
			got := p.Errors[0]
			if got.Location != want.location || !reflect.DeepEqual(got.Value, want.value) || got.Message != want.message {
				t.Errorf("got %s, %#v, %q; want %s, %#v, %q", got.Location, got.Value, got.Message, want.location, want.value, want.message)
			}
		})
	}
}
