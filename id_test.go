package firjob_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/firjob/firjob"
)

// maxMillis is the last instant that an id can name, in the year 10889.
const maxMillis = 1<<48 - 1

func instants(t *rapid.T, label string) time.Time {
	return time.UnixMilli(rapid.Int64Range(0, maxMillis).Draw(t, label)).UTC()
}

func TestExecutionIDSaysWhatItWasMadeOf(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		at := instants(t, "at")
		job := firjob.JobID(rapid.Uint32().Draw(t, "job"))
		kind := rapid.SampledFrom([]firjob.Kind{firjob.KindSchedule, firjob.KindManual, firjob.KindBackfill, firjob.KindChild}).Draw(t, "kind")
		nonce := rapid.Uint32().Draw(t, "nonce")
		id := firjob.NewExecutionID(job, at, kind, nonce)
		if !id.ScheduledAt().Equal(at) || id.Job() != job || id.Kind() != kind {
			t.Fatalf("%s names %v, job %d, %v; want %v, job %d, %v", id, id.ScheduledAt(), id.Job(), id.Kind(), at, job, kind)
		}
		if id[6] != 0x80 || id[7] != 0 || id[8]>>6 != 0b10 {
			t.Fatalf("%s: got bytes %x, want version 8, ordinal 0, variant 0b10", id, id[6:9])
		}
		if got, want := uint32(id[9])<<16|uint32(id[10])<<8|uint32(id[11]), nonce&0xffffff; got != want {
			t.Fatalf("%s: got nonce %06x, want %06x", id, got, want)
		}
		text, _ := id.MarshalText()
		var back firjob.ExecutionID
		if err := back.UnmarshalText(text); err != nil || back != id {
			t.Fatalf("%s reads back as %s, %v", text, back, err)
		}
	})
}

func TestExecutionIDIsTheIdentityOfAFire(t *testing.T) {
	t.Parallel()
	at := time.Date(2027, 1, 1, 2, 0, 0, 123_456_789, time.UTC)
	id := firjob.Fire(42, at)
	if again := firjob.Fire(42, at.Truncate(time.Millisecond).In(time.FixedZone("", 3600))); again != id {
		t.Errorf("the same fire has the ids %s and %s", id, again)
	}
	if got, want := id.String(), "01a2cef9-b17b-8000-8000-00000000002a"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if id.IsZero() || !(firjob.ExecutionID{}).IsZero() {
		t.Error("IsZero does not tell an id from none")
	}
}

func TestExecutionIDsSortByTime(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		early, late := instants(t, "a"), instants(t, "b")
		if late.Before(early) {
			early, late = late, early
		}
		job, nonce := firjob.JobID(rapid.Uint32().Draw(t, "job")), rapid.Uint32().Draw(t, "nonce")
		a := firjob.NewExecutionID(job, early, firjob.KindChild, nonce)
		b := firjob.Fire(1, late)
		if early.Before(late) && bytes.Compare(a[:], b[:]) >= 0 {
			t.Fatalf("%s of %v does not sort before %s of %v", a, early, b, late)
		}
		first := firjob.FirstIDAt(late)
		if bytes.Compare(first[:], b[:]) > 0 || early.Before(late) && bytes.Compare(a[:], first[:]) >= 0 {
			t.Fatalf("FirstIDAt(%v) = %x does not divide %s from %s", late, first, a, b)
		}
	})
}

// An instant that no id can name is taken for the nearest that one can: it must
// not come round at the other end.
func TestIDsOfInstantsThatTheyCannotName(t *testing.T) {
	t.Parallel()
	first, last := firjob.FirstIDAt(time.UnixMilli(0)), firjob.FirstIDAt(time.UnixMilli(maxMillis))
	tests := map[string]struct {
		at   time.Time
		want firjob.ExecutionID
	}{
		"zero":        {time.Time{}, first},
		"before 1970": {time.UnixMilli(-1), first},
		"too late":    {time.UnixMilli(maxMillis + 1), last},
		"far off":     {time.Date(200_000, 1, 1, 0, 0, 0, 0, time.UTC), last},
	}
	for name, tt := range tests {
		if got := firjob.FirstIDAt(tt.at); got != tt.want {
			t.Errorf("%s: got %x, want %x", name, got, tt.want)
		}
	}
}

// The text is that of the UUID, whichever way it is asked for.
func TestTextOfAnExecutionID(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		id := firjob.ExecutionID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
		got, err := id.AppendText([]byte("id="))
		if want := "id=" + uuid.UUID(id).String(); err != nil || string(got) != want || id.String() != want[3:] {
			t.Fatalf("AppendText gives %q, String %q, want %q (%v)", got, id, want, err)
		}
	})
}

func TestParseExecutionID(t *testing.T) {
	t.Parallel()
	good := firjob.Fire(42, time.UnixMilli(1_800_000_000_000)).String()
	tests := map[string]struct {
		text string
		ok   bool
	}{
		"good":              {good, true},
		"upper case":        {strings.ToUpper(good), true},
		"empty":             {"", false},
		"no hyphens":        {strings.ReplaceAll(good, "-", ""), false},
		"braces":            {"{" + good + "}", false},
		"urn":               {"urn:uuid:" + good, false},
		"space":             {good + " ", false},
		"cut":               {good[:35], false},
		"not hexadecimal":   {"g" + good[1:], false},
		"another version":   {"019bb9b2-8c00-7000-8000-00000000002a", false},
		"another variant":   {"019bb9b2-8c00-8000-c000-00000000002a", false},
		"the nil UUID":      {"00000000-0000-0000-0000-000000000000", false},
		"hyphens elsewhere": {"019bb9b28-c00-8000-8000-00000000002a", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id, err := firjob.ParseExecutionID(tt.text)
			if (err == nil) != tt.ok {
				t.Fatalf("ParseExecutionID(%q) = %s, %v; want ok = %v", tt.text, id, err, tt.ok)
			}
			if tt.ok && id.String() != good {
				t.Errorf("got %s, want %s", id, good)
			}
		})
	}
}

func TestShardsAreEven(t *testing.T) {
	t.Parallel()
	const jobs = 64_000
	for _, shards := range []int{1, 2, 7, 16, 64} {
		counts := make([]int, shards)
		for job := range firjob.JobID(jobs) {
			counts[job.Shard(shards)]++
		}
		for shard, n := range counts {
			if mean := jobs / shards; n < mean*8/10 || n > mean*12/10 {
				t.Errorf("shard %d of %d holds %d jobs, want %d ± 20 %%", shard, shards, n, mean)
			}
		}
	}
}

func TestKindText(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"schedule", "manual", "backfill", "child"} {
		var k firjob.Kind
		if err := k.UnmarshalText([]byte(name)); err != nil || k.String() != name {
			t.Errorf("%q reads as %v, %v", name, k, err)
		}
	}
	k := firjob.KindChild
	if err := k.UnmarshalText([]byte("kind(9)")); err == nil || k != firjob.KindChild {
		t.Errorf("got %v, %v; want an error and no change", k, err)
	}
}
