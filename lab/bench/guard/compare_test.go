package main

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func TestCompare(t *testing.T) {
	t.Parallel()
	usual := figures{PerSecond: 4000, CPU: 100, LatenessMS: map[string]float64{"p50": 1, "p99": 9}}
	slow := figures{PerSecond: 2000, CPU: 100, LatenessMS: usual.LatenessMS}
	costly := figures{PerSecond: 4000, CPU: 200, LatenessMS: usual.LatenessMS}
	late := figures{PerSecond: 4000, CPU: 100, LatenessMS: map[string]float64{"p50": 40, "p99": 90}}
	alittle := figures{PerSecond: 3500, CPU: 120, LatenessMS: map[string]float64{"p50": 4, "p99": 90}}
	failed := errors.New("exit status 2")
	tests := map[string]struct {
		now       []figures // of the runs of this program, in turn; the last one stays
		oldErr    error
		nowErr    error // of nowFails runs of this program, once after have gone well
		nowFails  int
		after     int
		want      string // in the error; "" for none
		wantPairs int
	}{
		"as good":            {now: []figures{usual}, wantPairs: 2},
		"a little worse":     {now: []figures{alittle}, wantPairs: 2},
		"slow once":          {now: []figures{slow, usual}, wantPairs: 3},
		"slow each time":     {now: []figures{slow}, want: "executions/s is below", wantPairs: 4},
		"costly each time":   {now: []figures{costly}, want: "CPU per execution is below", wantPairs: 4},
		"late each time":     {now: []figures{late}, wantPairs: 2}, // not judged
		"slow, then costly":  {now: []figures{slow, costly, usual}, wantPairs: 3},
		"the old one fails":  {now: []figures{usual}, oldErr: failed, wantPairs: 2},
		"this one fails":     {now: []figures{usual}, nowErr: failed, nowFails: 99, want: "exit status 2", wantPairs: 1},
		"it fails once":      {now: []figures{usual}, nowErr: failed, nowFails: 1, wantPairs: 2},
		"slow, then failing": {now: []figures{slow}, nowErr: failed, nowFails: 99, after: 2, want: "executions/s is below", wantPairs: 3},
		"both fail, so what": {oldErr: failed, nowErr: failed, nowFails: 99, wantPairs: 2},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked, runs := 0, 0
			err := compare(t.Context(), t.Output(), "before", "now", func(_ context.Context, binary string, _ []string) (figures, error) {
				if binary == "before" {
					asked++
					return usual, tt.oldErr
				}
				n := runs
				runs++
				if n >= tt.after && n < tt.after+tt.nowFails {
					return figures{}, tt.nowErr
				}
				return tt.now[min(n, len(tt.now)-1)], nil
			})
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("compare: %v, want an error with %q", err, tt.want)
			}
			if asked != tt.wantPairs {
				t.Errorf("%d pairs of runs, want %d", asked, tt.wantPairs)
			}
		})
	}
}
