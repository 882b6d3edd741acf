package naming_test

import (
	"strings"
	"testing"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/naming"
	"github.com/firjob/firjob/internal/validate"
)

func TestValidateAppName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a", "7", "billing", "billing-2.eu_west", strings.Repeat("a", 63)} {
		if got := naming.App(name); got != nil {
			t.Errorf("%q: got %+v, want no fault", name, got)
		}
	}
	for _, name := range []string{"", "Billing", "-a", ".a", "_a", "a{b", "a}b", "a:b", "a b", "a\n", "é", "a/b", strings.Repeat("a", 64)} {
		if got := naming.App(name); len(got) != 1 || got[0].Field != "name" || got[0].Value != name {
			t.Errorf("%q: got %+v, want one fault of name", name, got)
		}
	}
}

func TestValidateAddress(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"10.0.0.7:9999", "[::1]:80", "[2001:db8::7]:65535", "localhost:1", "worker-1.billing.svc.cluster.local:9999",
		"fir_job_worker_1:9999", "3com.example:80", strings.Repeat("a", 63) + ".example:80"} {
		if got := naming.Address(address); got != nil {
			t.Errorf("%q: got %+v, want no fault", address, got)
		}
	}
	tests := []struct{ address, want string }{
		{"", "must be host:port"},
		{"10.0.0.7", "must be host:port"},
		{"::1:80", "must be host:port"},
		{"http://10.0.0.7:80", "must be host:port"},
		{"10.0.0.7:80/path", "must end in a port"},
		{"user@host:80", "without a scheme, a user or a path"},
		{"user:pass@host:80", "must be host:port"},
		{"host/x:80", "must be host:port"},
		{"host:", "must end in a port"},
		{"host:0", "must end in a port"},
		{"host:080", "must end in a port"},
		{"host:+80", "must end in a port"},
		{"host:65536", "must end in a port"},
		{"host:http", "must end in a port"},
		{":80", "must name an IP address"},
		{"0.0.0.0:80", "must name an IP address"},
		{"[::]:80", "must name an IP address"},
		{"[fe80::1%eth0]:80", "must name an IP address"},
		{"10.0.0.256:80", "must name an IP address"},
		{"10.0.0:80", "must name an IP address"},
		{"a..b:80", "must name an IP address"},
		{"-a:80", "must name an IP address"},
		{"host.:80", "must name an IP address"},
		{"a b:80", "must name an IP address"},
		{"a{b}:80", "must name an IP address"},
		{"a\nb:80", "must name an IP address"},
		{"例え.jp:80", "must name an IP address"},
		{strings.Repeat("a", 64) + ":80", "must name an IP address"},
		{strings.Repeat("a.", 127) + "a:80", "must name an IP address"},
	}
	for _, tt := range tests {
		got := naming.Address(tt.address)
		if len(got) != 1 || got[0].Field != "address" || !strings.Contains(got[0].Message, tt.want) {
			t.Errorf("%q: got %+v, want one fault of address with %q", tt.address, got, tt.want)
		}
	}
}

func TestValidateParams(t *testing.T) {
	t.Parallel()
	for _, params := range []string{"", "null", "1", `{"a":[]}`, strings.Repeat(" ", firjob.MaxParams) + "1",
		`"` + strings.Repeat(`\u4e2d`, 21_000) + `"`} {
		if got := validate.Params([]byte(params)); got != nil {
			t.Errorf("%.20q: got %+v, want no fault", params, got)
		}
	}
	for _, params := range []string{"{", "{} {}", "'a'", "\"\xff\"", `"` + strings.Repeat(`\u4e2d`, 22_000) + `"`,
		`"` + strings.Repeat("x", firjob.MaxParams-1) + `"`} {
		if got := validate.Params([]byte(params)); len(got) != 1 || got[0].Field != "params" || got[0].Value != nil {
			t.Errorf("%.20q: got %+v, want one fault of params without its value", params, got)
		}
	}
}
