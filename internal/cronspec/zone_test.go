package cronspec_test

import (
	"strings"
	"testing"

	"github.com/firjob/firjob/internal/cronspec"
)

// The zone files of the machine know these names, and package time would take
// them from there.
func TestNamesOutsideTheDatabaseAreRefused(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"Local":                              "want an IANA name",
		"localtime":                          "want an IANA name",
		"Factory":                            "want an IANA name",
		"posixrules":                         "want an IANA name",
		"right/Asia/Shanghai":                `did you mean "Asia/Shanghai"?`,
		"posix/Europe/Berlin":                `did you mean "Europe/Berlin"?`,
		"asia/shanghai":                      `did you mean "Asia/Shanghai"?`,
		"America/New York":                   `did you mean "America/New_York"?`,
		"america/port au-prince":             `did you mean "America/Port-au-Prince"?`,
		"Shanghai":                           `did you mean "Asia/Shanghai"?`,
		"Asia/Shangai":                       `did you mean "Asia/Shanghai"?`,
		"Europe/Berlinn":                     `did you mean "Europe/Berlin"?`,
		"utc":                                `did you mean "UTC"?`,
		"Mars/Olympus":                       "want an IANA name",
		"UTC+8":                              "want an IANA name",
		"GMT+8":                              "want an IANA name",
		"CST":                                "want an IANA name",
		"Louisville":                         "want an IANA name", // there are two
		strings.Repeat("Asia/Shanghai", 100): "want an IANA name",
	} {
		if _, err := cronspec.Zone(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Zone(%q): %v, want an error with %q", name, err, want)
		}
	}
}
