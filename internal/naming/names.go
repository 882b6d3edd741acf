package naming

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/firjob/firjob"
)

var appName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

// App returns what is wrong with the field "name" of an app. Names
// are part of Redis keys, where braces and colons have a meaning.
func App(name string) []firjob.FieldError {
	if appName.MatchString(name) {
		return nil
	}
	return fault("name", name,
		"must have 1 to 63 characters of a-z, 0-9, \".\", \"_\" and \"-\", the first a letter or a digit")
}

// Address returns what is wrong with the field "address" of an
// executor: host:port, as servers are to dial it.
func Address(address string) []firjob.FieldError {
	host, port, err := net.SplitHostPort(address)
	n, portErr := strconv.ParseUint(port, 10, 16)
	switch {
	case err != nil || strings.ContainsAny(host, "/@"):
		return fault("address", address,
			"must be host:port such as \"10.0.0.7:9999\", without a scheme, a user or a path")
	case portErr != nil || n == 0 || port[0] == '0':
		return fault("address", address, "must end in a port, 1 to 65535, not %q", port)
	case !dialable(host):
		return fault("address", address, "must name an IP address or a DNS name that servers can reach, not %q", host)
	}
	return nil
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

var labelName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$`)

// Labels returns what is wrong with labels of an executor or of a
// selector; field is their path.
func Labels(field string, labels map[string]string) []firjob.FieldError {
	var list []firjob.FieldError
	if len(labels) > firjob.MaxLabels {
		list = append(list, fault(field, nil, "has %d labels; want at most %d", len(labels), firjob.MaxLabels)...)
	}
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		if !labelName.MatchString(name) {
			list = append(list, fault(field, name, "is not the name of a label: want 1 to 63 letters, digits, "+
				"\".\", \"_\", \"/\" and \"-\", the first and last a letter or a digit")...)
			continue
		}
		list = append(list, Text(field+"."+name, labels[name])...)
	}
	return list
}

// Text returns what is wrong with a name that a person gives, or with the value
// of a label; field is its path.
func Text(field, text string) []firjob.FieldError {
	switch {
	case text == "":
		return fault(field, text, "is missing")
	case len(text) > firjob.MaxName:
		return fault(field, text, "has %d bytes; want at most %d", len(text), firjob.MaxName)
	case !utf8.ValidString(text):
		return fault(field, nil, "is not valid UTF-8")
	case strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fault(field, text, "holds a character that cannot be printed")
	case strings.TrimSpace(text) != text:
		return fault(field, text, "must not begin or end with a space")
	}
	return nil
}

func fault(field string, value any, format string, args ...any) []firjob.FieldError {
	return []firjob.FieldError{{Field: field, Value: value, Message: fmt.Sprintf(format, args...)}}
}
