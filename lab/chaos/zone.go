package chaos

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/firjob/firjob/lab/checker"
)

// The clocks of the run's own time zone go forward and back by turns, as those of
// most places do twice a year. They go a little at a time, so that a run of a
// minute holds both, and never back again before they have made up.
const (
	zoneName   = "Test/Restless"
	zoneJump   = 20 * time.Second
	zoneEvery  = 23 * time.Second // no divisor of a minute: each change meets other seconds
	zoneBefore = 20 * time.Second // of the first change
	zoneAfter  = 5 * time.Minute  // of the load
)

// restless returns the zone of a run that begins now.
func restless(now time.Time, load time.Duration) (zone checker.Zone) {
	end := now.Add(load + zoneAfter)
	for at := now.Truncate(time.Second).Add(zoneBefore); at.Before(end); at = at.Add(zoneEvery) {
		offset := zoneJump
		if len(zone)%2 == 1 {
			offset = 0
		}
		zone = append(zone, checker.Shift{At: at.UTC(), Offset: offset})
	}
	return zone
}

// writeZone writes a zone where a program that is built with the tag "chaos" looks
// for it if ZONEINFO names dir.
func writeZone(dir, name string, zone checker.Zone) error {
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("write a time zone: %w", err)
	}
	if err := os.WriteFile(path, tzif(zone), 0o644); err != nil {
		return fmt.Errorf("write a time zone: %w", err)
	}
	return nil
}

// tzif is a zone in the format of RFC 9636, version 2, without a rule for what
// comes after its last change.
func tzif(zone checker.Zone) []byte {
	offsets := []time.Duration{0} // of the types of local time
	var times, types []byte
	for _, s := range zone {
		i := slices.Index(offsets, s.Offset)
		if i < 0 {
			i, offsets = len(offsets), append(offsets, s.Offset)
		}
		times, types = binary.BigEndian.AppendUint64(times, uint64(s.At.Unix())), append(types, byte(i))
	}
	designation := []byte("TST\x00") // of all types
	file := tzifHeader(0, 1, len(designation))
	file = append(append(file, make([]byte, 6)...), designation...) // what a reader of version 1 gets: UTC
	file = append(file, tzifHeader(len(zone), len(offsets), len(designation))...)
	file = append(append(file, times...), types...)
	for i, offset := range offsets {
		file = binary.BigEndian.AppendUint32(file, uint32(int32(offset/time.Second)))
		file = append(file, byte(min(i, 1)), 0) // daylight saving time?, index of the designation
	}
	return append(append(file, designation...), "\n\n"...)
}

// tzifHeader is the header before a block of data.
func tzifHeader(changes, types, designations int) []byte {
	header := append([]byte("TZif2"), make([]byte, 15)...)
	for _, count := range []int{0, 0, 0, changes, types, designations} {
		header = binary.BigEndian.AppendUint32(header, uint32(count))
	}
	return header
}

// zoned are cron jobs by the clocks of the zone, by name: with both rules for what
// the clocks leave out and both for what they show twice, and one that names
// every hour, which goes by the time that passes.
func zoned(zone checker.Zone, now time.Time) map[string]definition {
	all := map[string]definition{}
	for _, p := range []struct {
		name, gap, repeat string
		everyHour         bool
	}{
		{name: "zone-after-once", gap: "run_after", repeat: "once"},
		{name: "zone-after-twice", gap: "run_after", repeat: "twice"},
		{name: "zone-skip-once", gap: "skip", repeat: "once"},
		{name: "zone-skip-twice", gap: "skip", repeat: "twice"},
		{name: "zone-every-hour", gap: "run_after", repeat: "once", everyHour: true},
	} {
		hours := "*"
		if !p.everyHour {
			hours = hoursBut((now.UTC().Hour() + 12) % 24) // one that is far away
		}
		d := cron(pattern{seconds: steps(1, 3)}, "noop").with(map[string]any{"schedule": map[string]any{
			"kind": "cron", "expr": "1/3 * " + hours + " * * *", "timezone": zoneName, "gap": p.gap,
			"overlap_hour": p.repeat,
		}})
		d.spec.Zone, d.spec.SkipGap, d.spec.Twice = zone, p.gap == "skip" || p.everyHour, p.repeat == "twice" ||
			p.everyHour
		all[p.name] = d
	}
	return all
}

// hoursBut is the field of a cron expression that names every hour but one.
func hoursBut(hour int) string {
	var all []string
	for h := range 24 {
		if h != hour {
			all = append(all, strconv.Itoa(h))
		}
	}
	return strings.Join(all, ",")
}
