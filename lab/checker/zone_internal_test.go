package checker

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// The clocks go 20 s forward at 12:00:30 and back at 12:01:10. The fires are
// written down by hand.
func TestFiresByClocksThatChange(t *testing.T) {
	t.Parallel()
	noon := time.Date(2027, 1, 1, 12, 0, 0, 0, time.UTC)
	zone := Zone{{At: noon.Add(30 * time.Second), Offset: 20 * time.Second}, {At: noon.Add(70 * time.Second)}}
	seconds := []int{5, 15, 25, 35, 45, 55}
	for name, test := range map[string]struct {
		spec Spec
		want string
	}{
		// By the clocks: 00:05, :15, :25; :35 and :45 are left out; from 12:00:30 they
		// show 00:50, so 00:55 comes at 35 s and 01:25 at 65 s. At 70 s they show 01:30
		// and then 01:10 once more: 01:15 and 01:25 come again at 75 and 85 s.
		"run after, once":  {Spec{}, "5 15 25 30 35 45 55 65 95 105 115"},
		"run after, twice": {Spec{Twice: true}, "5 15 25 30 35 45 55 65 75 85 95 105 115"},
		"skip, once":       {Spec{SkipGap: true}, "5 15 25 35 45 55 65 95 105 115"},
		"skip, twice":      {Spec{SkipGap: true, Twice: true}, "5 15 25 35 45 55 65 75 85 95 105 115"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.spec.Zone, test.spec.Seconds = zone, seconds
			var got []string
			for _, at := range test.spec.fires(noon.Add(time.Millisecond), noon.Add(2*time.Minute)) {
				got = append(got, fmt.Sprint(at.Sub(noon).Seconds()))
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("got  %v\nwant %s", strings.Join(got, " "), test.want)
			}
		})
	}
	// Nothing that is left out is one of the spec's, so nothing is to run after it.
	quiet := Spec{Zone: zone, Seconds: []int{0, 10}}
	if got := quiet.fires(noon.Add(25*time.Second), noon.Add(35*time.Second)); got != nil {
		t.Errorf("a gap without a fire in it: got %v, want none", got)
	}
	if n, want := len(quiet.fires(noon, noon.Add(time.Minute))), 4; n != want {
		t.Errorf("got %d fires, want %d", n, want)
	}
}
