package httpapi_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const goodCalendar = `{"name":"holidays","description":"Public holidays","timezone":"Asia/Shanghai",
	"dates":[{"from":"2027-10-01","until":"2027-10-07"},{"from":"2027-01-01","yearly":true}],"weekdays":["sun"],"hours":[{"from":"22:00","until":"06:00"}]}`

func TestCalendars(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	made := s.call("POST", "/api/v1/calendars", goodCalendar).want(http.StatusCreated)
	path := made.header.Get("Location")
	if path != "/api/v1/calendars/holidays" || made.header.Get("ETag") != `"1"` {
		t.Errorf("Location %q, ETag %s", path, made.header.Get("ETag"))
	}
	golden(t, "testdata/calendar.json", made.indented())
	s.call("POST", "/api/v1/calendars", goodCalendar).want(http.StatusConflict).problem()

	var c map[string]any
	s.call("PATCH", path, `{"description":null,"mode":"include","dates":[{"from":"2028-01-01"}],"hours":null}`).want(http.StatusOK).into(&c)
	delete(c, "created_at")
	delete(c, "updated_at")
	want := map[string]any{"name": "holidays", "mode": "include", "timezone": "Asia/Shanghai", "weekdays": []any{"sun"},
		"dates": []any{map[string]any{"from": "2028-01-01"}}, "version": 2.0, "jobs": 2.0}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Errorf("patched (-want +got):\n%s", diff)
	}
	if want := []string{"job 3 changed", "job 4 changed"}; !slices.Equal(s.scheduler.made, want) {
		t.Errorf("the scheduler was asked %v, want %v", s.scheduler.made, want)
	}
	p := s.call("PATCH", path, `{"name":"other","weekdays":["sun","someday"],"hours":[{"from":"25:00","until":"06:00"}]}`).want(422).problem()
	if got, want := p.locations(), []string{"body.hours[0].from", "body.name", "body.weekdays[1]"}; !slices.Equal(got, want) {
		t.Errorf("got faults at %v, want %v: %+v", got, want, p.Errors)
	}

	var versions struct {
		Items []struct{ Version int }
		Next  string `json:"next_page_token"`
	}
	s.call("GET", path+"/versions?page_size=1", "").want(http.StatusOK).into(&versions)
	if len(versions.Items) != 1 || versions.Items[0].Version != 2 || versions.Next == "" {
		t.Fatalf("versions: got %+v, want the second and a token", versions)
	}
	s.call("GET", path+"/versions?page_size=1&page_token="+versions.Next, "").want(http.StatusOK).into(&versions)
	if len(versions.Items) != 1 || versions.Items[0].Version != 1 || versions.Next != "" {
		t.Errorf("versions: got %+v, want the first and no token", versions)
	}
	s.call("GET", path+"/versions?page_token=garbage", "").want(422).problem()
	s.call("DELETE", path, "").want(http.StatusNoContent)
	s.call("GET", path, "").want(http.StatusNotFound)
}

func TestPagesOfCalendars(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	for i := range 3 {
		s.call("POST", "/api/v1/calendars", strings.Replace(goodCalendar, "holidays", fmt.Sprint("c", i), 1)).want(http.StatusCreated)
	}
	var names []string
	for token := ""; ; {
		var page struct {
			Items []struct{ Name string }
			Next  string `json:"next_page_token"`
		}
		s.call("GET", "/api/v1/calendars?page_size=2&page_token="+token, "").want(http.StatusOK).into(&page)
		for _, c := range page.Items {
			names = append(names, c.Name)
		}
		if token = page.Next; token == "" {
			break
		}
	}
	if want := []string{"c0", "c1", "c2"}; !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
}
