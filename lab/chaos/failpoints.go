package chaos

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/firjob/firjob/internal/cluster"
	"github.com/firjob/firjob/internal/failpoint"
)

// WithFailpoints returns the options with a class more for each place in the
// program where a process can be made to die: "crash-after-pop" and so on. The
// program under test must have been built with the tag "chaos". A program that
// never calls this has none of their names in it.
func WithFailpoints(o Options) Options {
	traps := traps(filepath.Join(o.Dir, "failpoints"))
	for _, p := range failpoint.ServerPoints() {
		o.more = append(o.more, class{"crash-" + string(p), servers, spell, traps.crash(p), nil})
	}
	for _, p := range failpoint.ExecutorPoints() {
		o.more = append(o.more, class{"crash-" + string(p), workers, spell, traps.crash(p), nil})
	}
	o.environ = traps.environ
	return o
}

// traps is a folder that has one for each process, in which files arm its points.
type traps string

// environ returns what a process must know, and makes its folder.
func (t traps) environ(process string) ([]string, error) {
	folder, err := filepath.Abs(filepath.Join(string(t), process))
	if err != nil {
		return nil, err
	}
	return []string{failpoint.EnvPoints + "=" + folder}, os.MkdirAll(folder, 0o755)
}

// crashPatience bounds the wait for a process to come to a point. The rarest is
// that at which fires are planned: another replica may have been first.
const crashPatience = 10 * time.Second

// crash makes a process die when it next comes to the point, and starts it again
// later.
func (t traps) crash(point failpoint.Point) injection {
	return func(ctx context.Context, s *stage, f Step) (func(context.Context) error, error) {
		p := s.process(f.Target)
		trap := filepath.Join(string(t), f.Target, string(point))
		if err := os.WriteFile(trap, nil, 0o600); err != nil {
			return nil, err
		}
		again := func(ctx context.Context) error { return s.start(ctx, p) }
		ended := ends(ctx, p, crashPatience)
		switch untouched := os.Remove(trap) == nil; {
		case untouched && ended:
			return again, fmt.Errorf("%s ended before it came to the point %s", f.Target, point)
		case untouched:
			return nil, fmt.Errorf("%s did not come to the point %s in %v", f.Target, point, crashPatience)
		}
		<-p.Done() // it may have taken the file just now
		return again, nil
	}
}

// ends waits for the end of a process, at most so long, and reports whether it has
// ended.
func ends(ctx context.Context, p *cluster.Process, patience time.Duration) bool {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-p.Done():
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}
