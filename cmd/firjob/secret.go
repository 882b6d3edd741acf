package main

import (
	"fmt"
	"os"
	"strings"
	"unicode"
)

// secretOf returns the secret that the flag of that name holds, or the one in
// the file that the flag's other way names; "" if neither was given.
func secretOf(flag, value, file string) (string, error) {
	switch {
	case value != "" && file != "":
		return "", usagef("--%s and --%s, or their variables, are both set; keep one", flag, flag+fileSuffix)
	case file == "":
		return cleanSecret("--"+flag, value)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read the secret of --%s: %w", flag+fileSuffix, err)
	}
	return cleanSecret("--"+flag+fileSuffix, strings.TrimSpace(string(text)))
}

// cleanSecret returns a secret that can be sent as a header of HTTP.
func cleanSecret(from, secret string) (string, error) {
	if strings.ContainsAny(secret, "\r\n") {
		return "", usagef("the secret of %s, or of its variable, holds a line break", from)
	}
	if strings.ContainsFunc(secret, unicode.IsControl) {
		return "", usagef("the secret of %s, or of its variable, holds a control character", from)
	}
	return secret, nil
}

// fileSuffix ends the name of a flag that names the file of a secret.
const fileSuffix = "-file"
