package firjob

import (
	"encoding/json"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

var appName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

// ValidateAppName returns what is wrong with the field "name" of an app. Names
// are part of Redis keys, where braces and colons have a meaning.
func ValidateAppName(name string) []FieldError {
	var f faults
	if !appName.MatchString(name) {
		f.add("name", name, "must have 1 to 63 characters of a-z, 0-9, \".\", \"_\" and \"-\", the first a letter or a digit")
	}
	return f
}

// ValidateParams returns what is wrong with the field "params", of a job or of
// a trigger; none at all are good.
func ValidateParams(params json.RawMessage) []FieldError {
	var f faults
	if err := CheckJSON(params, MaxParams); err != nil {
		f.add("params", nil, "%v", err)
	}
	return f
}

// ValidateAddress returns what is wrong with the field "address" of an
// executor: host:port, as servers are to dial it.
func ValidateAddress(address string) []FieldError {
	var f faults
	host, port, err := net.SplitHostPort(address)
	n, portErr := strconv.ParseUint(port, 10, 16)
	switch {
	case err != nil || strings.ContainsAny(host, "/@"):
		f.add("address", address, "must be host:port such as \"10.0.0.7:9999\", without a scheme, a user or a path")
	case portErr != nil || n == 0 || port[0] == '0':
		f.add("address", address, "must end in a port, 1 to 65535, not %q", port)
	case !dialable(host):
		f.add("address", address, "must name an IP address or a DNS name that servers can reach, not %q", host)
	}
	return f
}

// hostName is a DNS name. Underscores occur in container networks.
var hostName = regexp.MustCompile(`^(\w([\w-]{0,61}\w)?\.)*\w([\w-]{0,61}\w)?$`)

// dialable refuses addresses that mean "here" on each machine, those with a
// zone, and names that end in a number, which are IP addresses gone wrong.
func dialable(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return !ip.IsUnspecified() && ip.Zone() == ""
	}
	_, err := strconv.Atoi(host[strings.LastIndexByte(host, '.')+1:])
	return err != nil && len(host) <= 253 && hostName.MatchString(host)
}
