package chaos

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/firjob/firjob/internal/cluster"
	"github.com/firjob/firjob/internal/localstack"
)

// usage measures what processes and stores use, by name.
func (s *stage) usage(ctx context.Context) (map[string]float64, error) {
	used := map[string]float64{}
	var errs []error
	for _, p := range s.Servers {
		errs = append(errs, s.usageOf(ctx, p, used))
	}
	backends, err := s.backends(ctx)
	used["sessions of postgres"] = backends
	errs = append(errs, err)
	primaries, err := s.stores.primaries(ctx)
	errs = append(errs, err)
	for _, r := range primaries {
		size, err := localstack.Ask(ctx, r.Addr(), "DBSIZE")
		if err != nil || len(size) != 1 {
			errs = append(errs, fmt.Errorf("count the keys of redis: %w", err))
			continue
		}
		keys, err := strconv.ParseFloat(size[0], 64)
		used["keys of redis"] += keys
		errs = append(errs, err)
	}
	return used, errors.Join(errs...)
}

// usageOf reads a server's own figures.
func (s *stage) usageOf(ctx context.Context, p *cluster.Process, used map[string]float64) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.Addr+"/metrics", nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+s.AdminToken)
	resp, err := s.load.api.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s to /metrics", p.Name, resp.Status)
	}
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		name, text, _ := strings.Cut(lines.Text(), " ")
		what, wanted := map[string]string{"go_goroutines": "goroutines", "process_open_fds": "open files"}[name]
		if !wanted {
			continue
		}
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("read %s of %s: %w", name, p.Name, err)
		}
		used[what+" of "+p.Name] = value
	}
	return lines.Err()
}

// within reports whether nothing has grown by more than the share, or by one.
func within(before, after map[string]float64, growth float64) bool {
	for name, value := range after {
		if value > before[name]*(1+growth)+1 {
			return false
		}
	}
	return true
}
