package worker

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/naming"
)

// Options configure a worker. Server, App and Secret are required.
type Options struct {
	// Server is the base URL of a server, or of the balancer before several,
	// as in "http://10.0.0.5:8080". Default: FIRJOB_SERVER_URL.
	Server string
	// App is the app whose executions are run, and Secret its secret.
	App, Secret string

	// Listen is the address to take triggers at. Default "127.0.0.1:0": any
	// free port, reachable from this machine only.
	Listen string
	// Advertise is the host:port at which the server reaches Listen. Default:
	// the address that was bound; where that is a wildcard such as ":9999", the
	// address of the interface through which the server is reached.
	Advertise string

	// Concurrency is how many handlers run at a time. Default 32 × GOMAXPROCS:
	// most handlers wait for a database or another service, and a waiting
	// goroutine costs little. Lower it for handlers that compute or take much
	// memory. At most 65536.
	Concurrency int
	// Queue is how many accepted executions may wait for a free handler.
	// Default: Concurrency; negative: none. A longer queue serves bursts of
	// short handlers, a shorter one leaves the work to other executors. At most
	// 65536.
	Queue int

	// SpoolDir is the folder that keeps results until they are acknowledged. It
	// is created, and belongs to one process at a time. Default:
	// firjob/APP-PORT under $XDG_STATE_HOME or ~/.local/state. With any free
	// port (":0") there is no number to come back to; then it is the first
	// firjob/APP-any-N that no other process uses.
	SpoolDir string

	// Version is how the program calls itself, for people to read.
	Version string
	// Labels say what kind of machine this is, as in {"zone": "eu-1", "gpu": "a100"}:
	// a job with a selector runs only where each of its labels is. At most
	// firjob.MaxLabels; names have up to 63 letters, digits, ".", "_", "/" and
	// "-", values are short printable text.
	Labels map[string]string
	// DrainTimeout is how long running handlers may take to finish once the
	// worker is told to stop. Default 30s.
	DrainTimeout time.Duration
	// Log takes what the worker has to say. Default slog.Default().
	Log *slog.Logger
	// LogLevel is the level from which on records of Task.Log are sent to the
	// server. It has no bearing on Log. Default slog.LevelInfo.
	LogLevel slog.Leveler
	// HTTPClient sends the requests to the server. The default one keeps a few
	// connections and follows no redirects. Timeouts are set per request.
	HTTPClient *http.Client
}

const (
	perCPU         = 32
	maxConcurrency = 1 << 16
	defaultDrain   = 30 * time.Second
)

func (o Options) withDefaults() Options {
	if o.Server == "" {
		o.Server = os.Getenv("FIRJOB_SERVER_URL")
	}
	o.Server = strings.TrimRight(o.Server, "/")
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if o.Concurrency == 0 {
		o.Concurrency = perCPU * runtime.GOMAXPROCS(0)
	}
	if o.Queue == 0 {
		o.Queue = o.Concurrency
	}
	o.Queue = max(o.Queue, 0)
	if o.DrainTimeout == 0 {
		o.DrainTimeout = defaultDrain
	}
	o.Labels = maps.Clone(o.Labels)
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.LogLevel == nil {
		o.LogLevel = slog.LevelInfo
	}
	return o
}

// validate lists every fault at once, each with the field's name.
func (o Options) validate() error {
	var faults []firjob.FieldError
	fault := func(field, format string, args ...any) {
		faults = append(faults, firjob.FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
	}
	if err := checkServer(o.Server); err != nil {
		fault("Server", "%v", err)
	}
	if err := checkApp(o.App); err != nil {
		fault("App", "%v", err)
	}
	if len(o.Secret) < firjob.MinSecretSize {
		fault("Secret", "has %d characters; want %d or more", len(o.Secret), firjob.MinSecretSize)
	}
	if _, _, err := net.SplitHostPort(o.Listen); err != nil {
		fault("Listen", "%q is not host:port", o.Listen)
	}
	if o.Advertise != "" && !dialable(o.Advertise) {
		fault("Advertise", "%q is not an address to call; want host:port", o.Advertise)
	}
	if o.Concurrency < 1 || o.Concurrency > maxConcurrency {
		fault("Concurrency", "is %d; want 1 to %d", o.Concurrency, maxConcurrency)
	}
	if o.Queue > maxConcurrency {
		fault("Queue", "is %d; want %d or less", o.Queue, maxConcurrency)
	}
	if o.DrainTimeout < 0 {
		fault("DrainTimeout", "is %v; want 0 or more", o.DrainTimeout)
	}
	for _, f := range naming.Labels("Labels", o.Labels) {
		if name, ok := f.Value.(string); ok {
			f.Message = fmt.Sprintf("%q %s", name, f.Message)
		}
		faults = append(faults, f)
	}
	if len(faults) == 0 {
		return nil
	}
	return &firjob.Error{Code: firjob.CodeInvalid, Message: "worker: faulty options", Fields: faults}
}

func checkServer(base string) error {
	if base == "" {
		return errors.New("is missing; set it or FIRJOB_SERVER_URL")
	}
	u, err := url.Parse(base)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https"):
		return errors.New("is not a URL such as http://10.0.0.5:8080")
	case u.User != nil:
		return errors.New("holds credentials; they belong to App and Secret")
	case u.RawQuery != "" || u.Fragment != "":
		return errors.New("is a base URL and has no query")
	}
	return nil
}

func checkApp(name string) error {
	switch {
	case name == "":
		return errors.New("is missing")
	case len(name) > firjob.MaxName:
		return fmt.Errorf("is longer than %d bytes", firjob.MaxName)
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == ':' || r == 0x7f }):
		return errors.New("holds a colon or a control character, which HTTP's Basic scheme cannot carry")
	}
	return nil
}

func dialable(address string) bool {
	host, port, err := net.SplitHostPort(address)
	n, perr := strconv.ParseUint(port, 10, 16)
	return err == nil && perr == nil && host != "" && n > 0
}
