package main

import (
	"net/http"
	"strings"
	"testing"
)

const aToken = "tttttttt-ssssssss-eeeeeeee-ccccc"

func TestToken(t *testing.T) {
	t.Parallel()
	file := tempFile(t, aToken+"\n")
	tests := []struct {
		name string
		env  map[string]string
		args []string
		want string
	}{
		{"none", nil, nil, ""},
		{"flag", nil, []string{"--token", aToken}, "Bearer " + aToken},
		{"variable", map[string]string{"FIRJOB_TOKEN": aToken}, nil, "Bearer " + aToken},
		{"flag before variable", map[string]string{"FIRJOB_TOKEN": "other"}, []string{"--token", aToken}, "Bearer " + aToken},
		{"file", nil, []string{"--token-file", file}, "Bearer " + aToken},
		{"file in a variable", map[string]string{"FIRJOB_TOKEN_FILE": file}, nil, "Bearer " + aToken},
		{"file before variable", map[string]string{"FIRJOB_TOKEN": "other"}, []string{"--token-file", file}, "Bearer " + aToken},
		{"flag before file in a variable", map[string]string{"FIRJOB_TOKEN_FILE": "/none"}, []string{"--token", aToken}, "Bearer " + aToken},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			api := newFakeAPI(t, ok(answerFile(t, "apps")))
			got := api.ran(t, tt.env, "", append([]string{"app", "list"}, tt.args...)...)
			if got.code != exitOK {
				t.Fatalf("exit code %d, stderr %q; want 0", got.code, got.stderr)
			}
			if auth := api.requests()[0].Auth; auth != tt.want {
				t.Errorf("Authorization is %q, want %q", auth, tt.want)
			}
		})
	}
}

func TestSecretsStayHidden(t *testing.T) {
	t.Parallel()
	refused := newFakeAPI(t, answer{http.StatusUnauthorized, `{"title":"Unauthorized","detail":"want another"}`})
	faulty := newFakeAPI(t, answer{http.StatusUnprocessableEntity,
		`{"title":"Unprocessable Entity","errors":[{"location":"body.secret","message":"is too short","value":"` + aToken + `"}]}`})
	made := newFakeAPI(t, answer{http.StatusCreated, `{"name":"billing","secret":"` + aToken + `","created_at":"2026-11-22T06:00:00.000Z"}`})
	gone := newFakeAPI(t, ok(`{}`))
	gone.Close()
	tests := []struct {
		name string
		api  *fakeAPI
		args []string
		code int
	}{
		{"refused", refused, []string{"job", "list"}, exitFailure},
		{"unreachable", gone, []string{"job", "list"}, exitFailure},
		{"wrong usage", refused, []string{"job", "list", "--nope"}, exitUsage},
		{"help", refused, []string{"job", "list", "--help"}, exitOK},
		{"password in the address", refused, []string{"job", "list", "--server", "http://me:" + aToken + "@127.0.0.1"}, exitUsage},
		{"no address", refused, []string{"job", "list", "--server", ":" + aToken}, exitUsage},
		{"faulty secret", faulty, []string{"app", "create", "billing", "--secret-file", "-"}, exitFailure},
		{"own secret", made, []string{"app", "create", "billing", "--secret-file", "-"}, exitOK},
		{"own secret as JSON", made, []string{"app", "create", "billing", "--secret-file", "-", "-o", "json"}, exitOK},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := tt.api.ran(t, map[string]string{"FIRJOB_TOKEN": aToken}, aToken+"\n", tt.args...)
			if got.code != tt.code {
				t.Errorf("exit code %d, stderr %q; want %d", got.code, got.stderr, tt.code)
			}
			if all := got.stdout + got.stderr; all == "" || strings.Contains(all, aToken) {
				t.Errorf("the output holds the secret or nothing: %q", all)
			}
		})
	}
}

func TestAppCreateSendsTheSecretOfAFile(t *testing.T) {
	t.Parallel()
	api := newFakeAPI(t, ok(answerFile(t, "app")))
	got := api.ran(t, nil, "", "app", "create", "billing", "--secret-file", tempFile(t, aToken+"\n"))
	if want := `{"name":"billing","secret":"` + aToken + `"}`; api.requests()[0].Body != want {
		t.Errorf("body is %s, want %s", api.requests()[0].Body, want)
	}
	if got.stdout != "App billing was made.\n" {
		t.Errorf("stdout is %q", got.stdout)
	}
}

// A secret that no header can carry is told as such, and not shown.
func TestSecretsOfSeveralLines(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		env  map[string]string
		args string
		want string
	}{
		{"line break", map[string]string{"FIRJOB_TOKEN": "secret\nwords"}, "job list", "the secret of --token, or of its variable, holds a line break"},
		{"file of two lines", nil, "job list --token-file " + tempFile(t, "secret\nwords\n"), "the secret of --token-file, or of its variable, holds a line break"},
		{"control character", map[string]string{"FIRJOB_TOKEN": "secret\x00words"}, "job list", "the secret of --token, or of its variable, holds a control character"},
		{"both variables", map[string]string{"FIRJOB_TOKEN": "secret", "FIRJOB_TOKEN_FILE": "words"}, "job list", "are both set; keep one"},
		{"admin token", map[string]string{"FIRJOB_ADMIN_TOKEN": "secret\nwords"}, "server", "the secret of --admin-token, or of its variable, holds a line break"},
		{"app's secret", map[string]string{"FIRJOB_APP_SECRET": "secret\nwords"}, "worker --app demo", "the secret of --app-secret, or of its variable, holds a line break"},
		{"new app's secret", nil, "app create billing --secret-file " + tempFile(t, "secret\nwords\n"), "holds a line break"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := ran(t.Context(), tt.env, "", strings.Fields(tt.args)...)
			if got.code != exitUsage || !strings.Contains(got.stderr, tt.want) || strings.Contains(got.stderr, "words") {
				t.Errorf("exit code %d, stderr %q; want 2 and %q without the secret", got.code, got.stderr, tt.want)
			}
		})
	}
}
