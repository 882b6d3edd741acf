package worker_test

import (
	"strings"
	"testing"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/worker"
)

func TestFaultyOptionsAreNamed(t *testing.T) {
	t.Parallel()
	good := worker.Options{Server: "http://127.0.0.1:1", App: app, Secret: secret, SpoolDir: t.TempDir()}
	for _, test := range []struct {
		field  string
		change func(*worker.Options)
	}{
		{"Server", func(o *worker.Options) { o.Server = "127.0.0.1:8080" }},
		{"Server", func(o *worker.Options) { o.Server = "http://u:p@127.0.0.1" }},
		{"Server", func(o *worker.Options) { o.Server = "http://127.0.0.1/?a=b" }},
		{"App", func(o *worker.Options) { o.App = "" }},
		{"App", func(o *worker.Options) { o.App = "a:b" }},
		{"App", func(o *worker.Options) { o.App = strings.Repeat("a", firjob.MaxName+1) }},
		{"Secret", func(o *worker.Options) { o.Secret = "short-and-sweet" }},
		{"Listen", func(o *worker.Options) { o.Listen = "9999" }},
		{"Listen", func(o *worker.Options) { o.Listen = "203.0.113.1:0" }}, // not an address of this machine
		{"Advertise", func(o *worker.Options) { o.Advertise = "worker-1" }},
		{"Advertise", func(o *worker.Options) { o.Advertise = ":99" }},
		{"Concurrency", func(o *worker.Options) { o.Concurrency = -1 }},
		{"Queue", func(o *worker.Options) { o.Queue = 1 << 20 }},
		{"Labels", func(o *worker.Options) { o.Labels = map[string]string{"a b": "c"} }},
		{"Labels.zone", func(o *worker.Options) { o.Labels = map[string]string{"zone": ""} }},
		{"DrainTimeout", func(o *worker.Options) { o.DrainTimeout = -1 }},
		{"SpoolDir", func(o *worker.Options) { o.SpoolDir = "/dev/null/spool" }},
	} {
		o := good
		test.change(&o)
		w, err := worker.New(o)
		if err == nil {
			t.Errorf("%s: no error", test.field)
			w.Close()
			continue
		}
		if !strings.Contains(err.Error(), test.field+": ") || strings.Contains(err.Error(), o.Secret) {
			t.Errorf("%s: %v", test.field, err)
		}
	}

	_, err := worker.New(worker.Options{Server: "x"})
	if firjob.CodeOf(err) != firjob.CodeInvalid {
		t.Errorf("code of %v", err)
	}
	for _, field := range []string{"Server", "App", "Secret"} {
		if !strings.Contains(err.Error(), field+": ") {
			t.Errorf("%s is not among the faults: %v", field, err)
		}
	}
}

func TestServerFromTheEnvironment(t *testing.T) {
	t.Setenv("FIRJOB_SERVER_URL", "http://127.0.0.1:1/base/")
	w, err := worker.New(worker.Options{App: app, Secret: secret, SpoolDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
}
