package pg

import (
	"errors"
	"strings"
)

var (
	ErrURL      = errors.New("the database URL is not of the form postgres://user:password@host:port/database")
	errPassword = errors.New("the database URL has a character in its user or password that must be percent-encoded: " +
		"write / as %2F, # as %23, ? as %3F, @ as %40, : as %3A, % as %25")
)

// URLFault says why the driver could not read a URL. It never quotes the URL,
// whose password may stand anywhere in it.
func URLFault(text string) error {
	rest, isURL := afterScheme(text)
	authority := rest[:authorityEnd(rest)]
	switch {
	case !isURL:
		return ErrURL
	case strings.Contains(rest[len(authority):], "@"), badEscape(authority):
		return errPassword
	}
	return ErrURL
}

// Misread reports a URL that the driver would read, but not as it was meant: the
// password ends the part that names the host, so that another host is asked.
func Misread(text string) error {
	rest, isURL := afterScheme(text)
	end := authorityEnd(rest)
	switch ats := strings.Count(rest[:end], "@"); {
	case ats > 1: // the driver ends the password at the first
		return errPassword
	case ats == 1, !isURL:
		return nil
	}
	behind := rest[end:]
	at := strings.IndexByte(behind, '@')
	if at >= 0 && (behind[0] == '#' || !strings.Contains(behind[:at], "=")) {
		return errPassword
	}
	return nil
}

func afterScheme(text string) (rest string, isURL bool) {
	for _, scheme := range []string{"postgres://", "postgresql://"} {
		if rest, isURL = strings.CutPrefix(text, scheme); isURL {
			return rest, true
		}
	}
	return "", false
}

// authorityEnd is where user, password and host end.
func authorityEnd(rest string) int {
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		return end
	}
	return len(rest)
}

func badEscape(text string) bool {
	const hex = "0123456789abcdefABCDEF"
	for i := range len(text) {
		if text[i] != '%' {
			continue
		}
		if i+2 >= len(text) || strings.Trim(text[i+1:i+3], hex) != "" {
			return true
		}
	}
	return false
}
