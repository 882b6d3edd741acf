package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const clockTicks = 100 // of USER_HZ, which Linux has fixed for programs

// cpuSeconds is the processor time that the processes and their children have
// used so far, those included that have ended and were waited for.
func cpuSeconds(pids []int) (total float64) {
	roots := make(map[int]bool)
	for _, pid := range pids {
		roots[pid] = true
	}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is well-formed
	for _, path := range stats {
		if pid, parent, seconds, ok := readStat(path); ok && (roots[pid] || roots[parent]) {
			total += seconds
		}
	}
	return total
}

// readStat reads one process as proc_pid_stat(5) describes it.
func readStat(path string) (pid, parent int, seconds float64, ok bool) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, 0, 0, false // it has ended meanwhile
	}
	// The name, in parentheses, may hold anything; fields follow its end.
	head, tail, _ := strings.Cut(string(text), " (")
	fields := strings.Fields(tail[strings.LastIndex(tail, ")")+1:])
	if len(fields) < 15 {
		return 0, 0, 0, false
	}
	for _, used := range fields[11:15] { // user and system, its own and those of children it waited for
		ticks, _ := strconv.ParseFloat(used, 64)
		seconds += ticks / clockTicks
	}
	pid, _ = strconv.Atoi(head)
	parent, _ = strconv.Atoi(fields[1])
	return pid, parent, seconds, true
}
