package app

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/naming"
	"github.com/firjob/firjob/scheduler/outbound"
)

// Options configures a server. DatabaseURL and RedisURL must be given.
type Options struct {
	DatabaseURL string // postgres://…
	RedisURL    string // redis://, rediss://, redis+sentinel://, redis+cluster://

	HTTPAddr   string // where to listen; "127.0.0.1:8080" by default
	PublicURL  string // of the cluster, as callers see it; "" = not known
	AdminToken string // of the API; required beyond loopback, at least firjob.MinSecretSize characters

	Shards       int           // slices of the delay queue; 8 by default. Kept in the database by the first server
	ScanInterval time.Duration // 10 s by default
	Horizon      time.Duration // 60 s by default
	LeaseTTL     time.Duration // 10 s by default
	Retention    time.Duration // of executions; 30 days by default
	MaxConns     int           // to Postgres; 16 by default
	LogLimit     int           // bytes that are kept of one execution's log; 1 MiB by default

	// EgressAllow is what HTTP jobs may reach although it is not public:
	// addresses, prefixes and host names. Nothing by default.
	EgressAllow []string

	// BootstrapApp and its secret make an app at the start, unless there is one
	// of that name, for installations that come up unattended.
	BootstrapApp, BootstrapSecret string

	// AllowStandIn lets the server run on miniredis, for firjob dev.
	AllowStandIn bool
	// ClockOffset is added to the local clock: a fault that tests inject.
	ClockOffset time.Duration
	// ClockDrift is by how many parts per million the local clock runs fast, from
	// the start of the process on: another such fault.
	ClockDrift int

	Version string
	Log     *slog.Logger
}

func (o Options) withDefaults() (Options, error) {
	if o.HTTPAddr == "" {
		o.HTTPAddr = "127.0.0.1:8080"
	}
	if o.Shards == 0 {
		o.Shards = 8
	}
	if o.LogLimit == 0 {
		o.LogLimit = firjob.MaxLog
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if faults := o.validate(); len(faults) > 0 {
		return o, faulty(errors.Join(faults...))
	}
	return o, nil
}

// faulty makes an error one that whoever chose the settings can put right.
func faulty(err error) error {
	return &firjob.Error{Code: firjob.CodeInvalid, Message: "the settings are faulty", Cause: err}
}

// validate returns every fault, each a sentence that names the setting.
func (o Options) validate() (faults []error) {
	if o.DatabaseURL == "" {
		faults = append(faults, errors.New(noDatabase))
	}
	if o.RedisURL == "" {
		faults = append(faults, errors.New("FIRJOB_REDIS_URL is not set; it names the Redis, as in redis://host:6379"))
	}
	switch host, _, err := net.SplitHostPort(o.HTTPAddr); {
	case err != nil:
		faults = append(faults, fmt.Errorf("FIRJOB_HTTP_ADDR %q is not host:port: %w", o.HTTPAddr, err))
	case o.AdminToken == "" && !loopback(host):
		faults = append(faults,
			fmt.Errorf("FIRJOB_ADMIN_TOKEN is not set, and %s can be reached from other machines: set a token "+
				"(openssl rand -hex 32 makes one) or listen at 127.0.0.1", o.HTTPAddr))
	}
	if o.AdminToken != "" && len(o.AdminToken) < firjob.MinSecretSize {
		faults = append(faults,
			fmt.Errorf("FIRJOB_ADMIN_TOKEN has %d characters; want at least %d (openssl rand -hex 32 makes one)",
				len(o.AdminToken), firjob.MinSecretSize))
	}
	if o.LogLimit < minLogLimit || o.LogLimit > maxLogLimit {
		faults = append(faults,
			fmt.Errorf("FIRJOB_LOG_LIMIT is %d bytes; want %d to %d", o.LogLimit, minLogLimit, maxLogLimit))
	}
	if _, err := outbound.ParseAllow(o.EgressAllow); err != nil {
		faults = append(faults, fmt.Errorf("FIRJOB_EGRESS_ALLOW: %w", err))
	}
	if o.BootstrapApp != "" {
		for _, f := range naming.App(o.BootstrapApp) {
			faults = append(faults, fmt.Errorf("FIRJOB_BOOTSTRAP_APP: %s", f.Message))
		}
		if len(o.BootstrapSecret) < firjob.MinSecretSize {
			faults = append(faults,
				fmt.Errorf("FIRJOB_BOOTSTRAP_APP_SECRET has %d characters; want at least %d", len(o.BootstrapSecret),
					firjob.MinSecretSize))
		}
	}
	return faults
}

// Bounds of LogLimit: a few of the rows in which a log is kept, and what one
// execution may cost.
const (
	minLogLimit = 256 << 10
	maxLogLimit = 256 << 20
)

// localClock is the system's clock with the faults that tests inject.
func (o Options) localClock() func() time.Time {
	start := time.Now()
	return func() time.Time {
		now := time.Now()
		drift := now.Sub(start) * time.Duration(o.ClockDrift) / 1e6
		return now.Add(o.ClockOffset + drift)
	}
}

// loopback reports whether host can be reached from this machine only.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
