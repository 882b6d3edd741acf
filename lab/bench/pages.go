package bench

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/firjob/firjob/internal/cluster"
)

// askingAtMost bounds how long one page is asked for over and over.
const askingAtMost = 10 * time.Second

// pages times pages of the API over n jobs: the first and one from the middle, and
// filters that match all, one and none; and how long it takes to come to the middle,
// page by page, by a filter for which there is no index.
func (s *stage) pages(ctx context.Context, n, asks int) (map[string]float64, error) {
	s.o.say("asking for pages")
	name := fmt.Sprintf("seed-%d", n/2/10*10)
	began := time.Now()
	middle, token, err := s.find(ctx, name)
	if err != nil {
		return nil, err
	}
	figures := map[string]float64{"find_middle_ms": inMS(time.Since(began))}
	for _, page := range []struct {
		name, path string
		query      url.Values
	}{
		{"jobs", "jobs", url.Values{}},
		{"jobs_deep", "jobs", url.Values{"page_token": {token}}},
		{"jobs_of_app", "jobs", url.Values{"app": {cluster.App}}},
		{"jobs_of_kind", "jobs", url.Values{"kind": {"every"}, "enabled": {"true"}}},
		{"jobs_paused", "jobs", url.Values{"enabled": {"false"}}}, // the template
		{"jobs_named", "jobs", url.Values{"q": {name}}},
		{"jobs_nowhere", "jobs", url.Values{"q": {"no job is called like this"}}},
		{"executions", "executions", url.Values{}},
		{"executions_of_job", "executions", url.Values{"job": {fmt.Sprint(middle)}}},
		{"executions_failed", "executions", url.Values{"app": {cluster.App}, "state": {"failed"}}},
	} {
		page.query.Set("page_size", "100")
		if err := s.page(ctx, page.name, "/api/v1/"+page.path+"?"+page.query.Encode(), asks, figures); err != nil {
			return nil, err
		}
	}
	return figures, nil
}

// find looks for the job of a name that ends in 0, and returns its number and the
// token of the page that comes after it: there is one because the name less its last
// digit, for which it asks, is the start of nine more.
func (s *stage) find(ctx context.Context, name string) (id int64, token string, err error) {
	query := url.Values{"page_size": {"1"}, "app": {cluster.App}, "q": {name[:len(name)-1]}}
	for {
		var found struct {
			Items []struct {
				ID   int64
				Name string
			}
			NextPageToken string `json:"next_page_token"`
		}
		err := s.api.call(ctx, "GET", "/api/v1/jobs?"+query.Encode(), nil, &found)
		switch {
		case err != nil:
			return 0, "", err
		case found.NextPageToken == "":
			return 0, "", fmt.Errorf("the job %s is not found before the last page", name)
		case len(found.Items) > 0 && found.Items[0].Name == name:
			return found.Items[0].ID, found.NextPageToken, nil
		}
		query.Set("page_token", found.NextPageToken)
	}
}

// page asks for one page over and over. A page that cannot be had within the
// server's time counts as failed, not as an error.
func (s *stage) page(ctx context.Context, name, path string, asks int, figures map[string]float64) error {
	var took []float64
	failed, began := 0.0, time.Now()
	for range asks {
		start := time.Now()
		err := s.api.call(ctx, "GET", path, nil, nil)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			s.o.say("%s: %v", name, err)
			failed++
		default:
			took = append(took, inMS(time.Since(start)))
		}
		if time.Since(began) > askingAtMost {
			break
		}
	}
	if failed > 0 {
		figures["page_"+name+"_failed"] = failed
	}
	if len(took) > 0 {
		figures["page_"+name+"_p50_ms"], figures["page_"+name+"_p99_ms"] = quantile(took, 0.5), quantile(took, 0.99)
	}
	return nil
}
