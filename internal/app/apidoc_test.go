package app_test

import (
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var (
	shellBlock = regexp.MustCompile("(?s)```sh\n(.*?)```")
	// anExample is a curl command, over several lines if a quote is open, and the
	// status behind it.
	anExample = regexp.MustCompile(`(?s)\ncurl ((?:'[^']*'|"[^"]*"|[^'"#])*)# (\d{3})`)
	aWord     = regexp.MustCompile(`(?s)'[^']*'|"[^"]*"|\S+`)
)

// Each example of docs/api.md answers as it says.
func TestExamplesOfTheAPI(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	a := newAPI(t)
	a.exec(`DELETE FROM apps`) // the first example makes it
	count := 0
	for _, block := range shellBlock.FindAllStringSubmatch(string(page), -1) {
		commands := anExample.FindAllStringSubmatch("\n"+block[1], -1)
		if n := strings.Count(block[1], "curl "); n != len(commands) {
			t.Errorf("understood %d of %d commands in\n%s", len(commands), n, block[1])
		}
		for _, command := range commands {
			count++
			method, path, body, headers := parseCurl(command[1])
			w := a.call(method, path, body, headers...)
			if got := strconv.Itoa(w.Code); got != command[2] {
				t.Errorf("curl %s\ngot %s, want %s: %s", command[1], got, command[2], w.Body)
			}
		}
	}
	if count < 25 {
		t.Errorf("found %d examples", count)
	}
}

// parseCurl reads the arguments of a curl command, as far as the page uses them.
func parseCurl(args string) (method, path, body string, headers []string) {
	method, headers = http.MethodGet, []string{"If-Match", ""}
	words := aWord.FindAllString(args, -1)
	for i := range words {
		if quote := words[i][:1]; quote == "'" || quote == `"` {
			words[i] = words[i][1 : len(words[i])-1]
		}
	}
	given := ""
	for i := 0; i < len(words); i++ {
		switch words[i] {
		case "-X":
			i++
			given = words[i]
		case "-H":
			i++
			name, value, _ := strings.Cut(words[i], ": ")
			headers = append(headers, name, value)
		case "-d":
			i++
			method, body = http.MethodPost, words[i]
		default:
			path = strings.TrimPrefix(words[i], "$API")
		}
	}
	if given != "" {
		method = given
	}
	return method, path, body, headers
}
