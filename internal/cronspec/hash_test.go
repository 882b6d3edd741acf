package cronspec_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/cronspec"
)

func TestHash(t *testing.T) {
	t.Parallel()
	const seed = 20270101
	start := time.Date(2026, 12, 31, 23, 59, 59, 0, time.UTC)
	tests := []struct {
		expr, dialect string
		within        func(time.Time) bool
		perDay        int // fires on 1 January, -1 = not counted
	}{
		{"H H * * *", "", func(time.Time) bool { return true }, 1},
		{"H * * * *", "", func(time.Time) bool { return true }, 24},
		{"H H H * * *", "", func(time.Time) bool { return true }, 1},
		{"H H H * * ?", "quartz", func(time.Time) bool { return true }, 1},
		{"H/15 * * * *", "", func(at time.Time) bool { return true }, 96},
		{"H(0-29) * * * *", "", func(at time.Time) bool { return at.Minute() < 30 }, 24},
		{"H(0-29)/10 * * * *", "", func(at time.Time) bool { return at.Minute() < 30 }, 72},
		{"0 H(22-4) * * *", "", func(at time.Time) bool { return at.Hour() >= 22 || at.Hour() <= 4 }, 1},
		{"h 9 h * *", "", func(at time.Time) bool { return at.Day() <= 28 }, -1},
		{"0 9 * H *", "", func(at time.Time) bool { return true }, -1},
		{"0 9 31 H(2-4),DEC *", "", func(at time.Time) bool { return at.Day() == 31 }, -1},
		{"H 9 * * H(MON-FRI)", "", func(at time.Time) bool { return at.Weekday()%6 != 0 }, -1},
		{"0 H 9 ? * H(MON-FRI)", "quartz", func(at time.Time) bool { return at.Weekday()%6 != 0 }, -1},
		{"0 0 9 H * ? 2027", "quartz", func(at time.Time) bool { return at.Day() <= 28 }, -1},
	}
	for _, tt := range tests {
		for seed := range uint64(50) {
			spec := parse(t, tt.expr, cronspec.Options{Dialect: tt.dialect, Seed: seed})
			fires := 0
			for at := spec.Next(start); !at.IsZero() && at.YearDay() == 1; at = spec.Next(at) {
				fires++
			}
			if at := spec.Next(start); !tt.within(at) || tt.perDay >= 0 && fires != tt.perDay {
				t.Errorf("%q with seed %d: first fire %v, %d on 1 January", tt.expr, seed, at, fires)
			}
		}
		if !cronspec.UsesHash(tt.expr) {
			t.Errorf("UsesHash(%q) = false", tt.expr)
		}
	}
	a, b := parse(t, "H H * * *", cronspec.Options{Seed: seed}), parse(t, "H H * * *", cronspec.Options{Seed: seed})
	if !a.Next(start).Equal(b.Next(start)) {
		t.Error("the same seed gives other fires")
	}
	for _, expr := range []string{"0 0 * * THU", "@hourly", "*/5 * * MAR *", ""} {
		if cronspec.UsesHash(expr) {
			t.Errorf("UsesHash(%q) = true", expr)
		}
	}
}

// A day of the week is the same in both dialects, whatever they call it.
func TestHashedWeekdayOfBothDialects(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		unix, err := cronspec.Parse("H H * * H", cronspec.Options{Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		quartz, err := cronspec.Parse("0 H H ? * H", cronspec.Options{Seed: seed, Dialect: firjob.DialectQuartz})
		if err != nil {
			t.Fatal(err)
		}
		if at := time.Unix(1e9, 0); !unix.Next(at).Equal(quartz.Next(at)) {
			t.Fatalf("unix %v, quartz %v", unix.Next(at), quartz.Next(at))
		}
	})
}

// Many jobs spread out evenly: no minute of an hour has more than twice its share.
func TestHashSpreads(t *testing.T) {
	t.Parallel()
	var minutes [60]int
	const jobs = 60_000
	for seed := range uint64(jobs) {
		minutes[cronspec.Draw(seed, 1, 60)]++
	}
	for minute, n := range minutes {
		if n < jobs/120 || n > jobs/30 {
			t.Errorf("minute %d is drawn %d times of %d", minute, n, jobs)
		}
	}
}

// The first numbers of SplitMix64 from seed 1234567, as its authors' code gives them.
func TestDrawIsSplitMix64(t *testing.T) {
	t.Parallel()
	var got []uint64
	for salt := range uint64(3) {
		got = append(got, cronspec.Draw(1234567, salt, 1<<63))
	}
	want := []uint64{6457827717110365317, 3203168211198807973, 9817491932198370423 % (1 << 63)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestHashWarnings(t *testing.T) {
	t.Parallel()
	spec := parse(t, "H 9 * * H(MON-TUE)", cronspec.Options{Seed: 7})
	day := spec.Next(time.Unix(0, 0))
	want := []string{
		`minute "H" stands for ` + day.Format("4") + ` here: that follows from the job's app and name`,
		`day-of-week "H(MON-TUE)" stands for ` + day.Format("Monday") + ` here: that follows from the job's app and name`,
	}
	if diff := cmp.Diff(want, spec.Warnings(day)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
