package bench

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// The groups of processes whose use is told apart.
const (
	ofServers  = "servers"
	ofWorkers  = "workers"
	ofPostgres = "postgres"
	ofRedis    = "redis"
)

// usage is what the processes of a cluster have used so far, by group. It is read
// from /proc and empty where there is none; stores that are not ours are not in it.
type usage struct {
	cpu   map[string]float64 // seconds
	rssMB map[string]float64
}

// cpuSince returns the CPU seconds used since an earlier reading.
func (u usage) cpuSince(before usage) map[string]float64 {
	used := make(map[string]float64, len(u.cpu))
	for group, seconds := range u.cpu {
		used[group] = max(0, seconds-before.cpu[group])
	}
	return used
}

// usage reads what the cluster's processes, and their children, use.
func (s *stage) usage() usage {
	roots := make(map[int]string)
	for _, p := range s.Servers {
		roots[p.PID()] = ofServers
	}
	for _, p := range s.Workers {
		roots[p.PID()] = ofWorkers
	}
	if s.Postgres != nil {
		roots[s.Postgres.PID()] = ofPostgres
	}
	if s.Redis != nil {
		roots[s.Redis.PID()] = ofRedis
	}
	return usageOf(roots)
}

func usageOf(roots map[int]string) usage {
	u := usage{cpu: make(map[string]float64), rssMB: make(map[string]float64)}
	shared := make(map[string]float64)             // by the children of a group, who all hold the same
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is well-formed
	for _, path := range stats {
		p, ok := readStat(path)
		if !ok {
			continue
		}
		if group := roots[p.pid]; group != "" {
			u.cpu[group] += p.cpuSeconds + p.reapedSeconds
			u.rssMB[group] += p.rssMB
		} else if group := roots[p.parent]; group != "" {
			own := sharedMB(p.pid)
			u.cpu[group] += p.cpuSeconds
			u.rssMB[group] += p.rssMB - own
			shared[group] = max(shared[group], own)
		}
	}
	for group, mb := range shared {
		u.rssMB[group] += mb
	}
	return u
}

// sharedMB is what a process holds in common with others; see proc_pid_statm(5).
func sharedMB(pid int) float64 {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	fields := strings.Fields(string(text))
	if err != nil || len(fields) < 3 {
		return 0
	}
	pages, _ := strconv.ParseFloat(fields[2], 64)
	return pages * float64(os.Getpagesize()) / (1 << 20)
}

// sum adds up the groups.
func sum(groups map[string]float64) (total float64) {
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		total += groups[name]
	}
	return total
}

// stat is one process as /proc/PID/stat tells it; see proc_pid_stat(5).
type stat struct {
	pid, parent   int
	cpuSeconds    float64
	reapedSeconds float64 // of children that have ended
	rssMB         float64 // what it shares with others included
}

const clockTicks = 100 // of USER_HZ, which Linux has fixed for programs

func readStat(path string) (s stat, ok bool) {
	text, err := os.ReadFile(path)
	if err != nil {
		return s, false // it has ended meanwhile
	}
	return parseStat(string(text))
}

func parseStat(text string) (s stat, ok bool) {
	// The name, in parentheses, may hold anything; fields follow its end.
	head, tail, _ := strings.Cut(text, " (")
	fields := strings.Fields(tail[strings.LastIndex(tail, ")")+1:])
	if len(fields) < 22 {
		return s, false
	}
	number := func(text string) float64 { n, _ := strconv.ParseFloat(text, 64); return n }
	s.pid, _ = strconv.Atoi(head)
	s.parent = int(number(fields[1]))
	s.cpuSeconds = (number(fields[11]) + number(fields[12])) / clockTicks
	s.reapedSeconds = (number(fields[13]) + number(fields[14])) / clockTicks
	s.rssMB = number(fields[21]) * float64(os.Getpagesize()) / (1 << 20)
	return s, true
}
