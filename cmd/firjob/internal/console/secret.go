package console

import (
	"fmt"
	"os"
	"strings"
	"unicode"
)

// SecretOf returns the secret that the flag of that name holds, or the one in
// the file that the flag's other way names; "" if neither was given.
func SecretOf(flag, value, file string) (string, error) {
	switch {
	case value != "" && file != "":
		return "", Usagef("--%s and --%s, or their variables, are both set; keep one", flag, flag+FileSuffix)
	case file == "":
		return CleanSecret("--"+flag, value)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read the secret of --%s: %w", flag+FileSuffix, err)
	}
	return CleanSecret("--"+flag+FileSuffix, strings.TrimSpace(string(text)))
}

// CleanSecret returns a secret that can be sent as a header of HTTP.
func CleanSecret(from, secret string) (string, error) {
	if strings.ContainsAny(secret, "\r\n") {
		return "", Usagef("the secret of %s, or of its variable, holds a line break", from)
	}
	if strings.ContainsFunc(secret, unicode.IsControl) {
		return "", Usagef("the secret of %s, or of its variable, holds a control character", from)
	}
	return secret, nil
}

// FileSuffix ends the name of a flag that names the file of a secret.
const FileSuffix = "-file"
