package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/firjob/firjob/internal/cluster"
)

// processUsage is what the processes of a cluster have used so far, by role.
// It is read from /proc and empty where there is none.
type processUsage struct {
	cpu   map[string]float64 // seconds
	rssMB map[string]float64
}

// cpuSince returns the CPU seconds used since an earlier reading.
func (u processUsage) cpuSince(before processUsage) map[string]float64 {
	used := make(map[string]float64, len(u.cpu))
	for role, seconds := range u.cpu {
		used[role] = seconds - before.cpu[role]
	}
	return used
}

// usage reads what the cluster's processes, and their children, use.
func usage(c *cluster.Cluster) processUsage {
	roots := make(map[int]string)
	for _, p := range c.Servers {
		roots[p.PID()] = "servers"
	}
	for _, p := range c.Workers {
		roots[p.PID()] = "workers"
	}
	if c.Postgres != nil {
		roots[c.Postgres.PID()] = "postgres"
	}
	if c.Redis != nil {
		roots[c.Redis.PID()] = "redis"
	}
	u := processUsage{cpu: make(map[string]float64), rssMB: make(map[string]float64)}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is well-formed
	for _, path := range stats {
		if s, ok := readStat(path); ok {
			role := roots[s.pid]
			if role == "" {
				role = roots[s.parent]
			}
			if role != "" {
				u.cpu[role] += s.cpuSeconds
				u.rssMB[role] += s.rssMB
			}
		}
	}
	return u
}

// stat is one process as /proc/PID/stat tells it; see proc_pid_stat(5).
type stat struct {
	pid, parent       int
	cpuSeconds, rssMB float64
}

const clockTicks = 100 // of USER_HZ, which Linux has fixed for programs

func readStat(path string) (s stat, ok bool) {
	text, err := os.ReadFile(path)
	if err != nil {
		return s, false // it has ended meanwhile
	}
	// The name, in parentheses, may hold anything; fields follow its end.
	head, tail, _ := strings.Cut(string(text), " (")
	fields := strings.Fields(tail[strings.LastIndex(tail, ")")+1:])
	if len(fields) < 22 {
		return s, false
	}
	number := func(text string) float64 { n, _ := strconv.ParseFloat(text, 64); return n }
	s.pid, _ = strconv.Atoi(head)
	s.parent = int(number(fields[1]))
	s.cpuSeconds = (number(fields[11]) + number(fields[12])) / clockTicks
	s.rssMB = number(fields[21]) * float64(os.Getpagesize()) / (1 << 20)
	return s, true
}
