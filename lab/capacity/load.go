package capacity

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Load is what is asked of an installation, and of which machines it is to be
// made.
type Load struct {
	Rate        Count `json:"rate"` // executions a second
	Jobs        Count `json:"jobs"`
	Retention   Span  `json:"retention"`
	Params      Bytes `json:"payload"`      // of a job, sent with each trigger
	Result      Bytes `json:"result"`       // stored with each execution
	HandlerTime Span  `json:"handler_time"` // from start to end
	HandlerCPU  Span  `json:"handler_cpu"`  // of it on a core

	Horizon      Span `json:"horizon"`       // FIRJOB_HORIZON
	ScanInterval Span `json:"scan_interval"` // FIRJOB_SCAN_INTERVAL
	Lease        Span `json:"lease_ttl"`     // FIRJOB_LEASE_TTL

	Spare         int     `json:"spare"`          // machines of each kind that may be lost
	Use           float64 `json:"use"`            // share of a core, or of handlers, that is planned for
	ServerCores   int     `json:"server_cores"`   // of one server
	ExecutorCores int     `json:"executor_cores"` // of one executor
	Limits        Limits  `json:"limits"`
}

// Limits are those of the biggest machine for one Postgres. They are assumptions
// of whoever plans.
type Limits struct {
	Cores   int   `json:"cores"`
	WAL     Bytes `json:"wal"`     // a second that its disk writes
	Disk    Bytes `json:"disk"`    // in all
	Network Bytes `json:"network"` // a second
}

// mostRate is beyond what anybody plans.
const mostRate = 1e9

// Validate names every fault at once.
func (l Load) Validate() error {
	var faults []string
	must := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Sprintf(format, args...))
		}
	}
	must(l.Rate >= 1 && l.Rate <= mostRate, "rate is %.0f; want 1 to 1G executions a second", l.Rate)
	must(l.Jobs >= 1 && l.Jobs <= math.MaxInt32, "jobs is %.0f; want 1 to %d, which is how many numbers there are",
		l.Jobs, math.MaxInt32)
	must(l.Retention.seconds() >= wholeDay, "retention is %v; want 24h or more", time.Duration(l.Retention))
	must(l.HandlerCPU <= l.HandlerTime, "handler-cpu (%v) is more than handler-time (%v)", time.Duration(l.HandlerCPU),
		time.Duration(l.HandlerTime))
	must(l.ScanInterval > 0 && l.Horizon >= 2*l.ScanInterval,
		"horizon is %v; want at least twice the scan-interval (%v), which is above 0s",
		time.Duration(l.Horizon), time.Duration(l.ScanInterval))
	must(l.Lease.seconds() >= 5, "lease-ttl is %v; want 5s or more", time.Duration(l.Lease))
	must(l.Spare >= 0 && l.Spare <= 10, "spare is %d; want 0 to 10", l.Spare)
	must(l.Use > 0 && l.Use <= 1, "use is %g; want a share above 0, up to 1", l.Use)
	must(l.ServerCores >= 1 && l.ExecutorCores >= 1 && l.Limits.Cores >= 1,
		"server-cores, executor-cores and postgres-cores are %d, %d and %d; want 1 or more each",
		l.ServerCores, l.ExecutorCores, l.Limits.Cores)
	must(l.Limits.WAL > 0 && l.Limits.Disk > 0 && l.Limits.Network > 0,
		"postgres-wal, postgres-disk and postgres-network must be above 0B")
	if len(faults) > 0 {
		return fmt.Errorf("%s", strings.Join(faults, "; "))
	}
	return nil
}
