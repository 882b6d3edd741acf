package main

import (
	"net/http"
	"strings"
	"testing"
)

func TestWarningsOfJobsGoToStderr(t *testing.T) {
	t.Parallel()
	job := strings.TrimSuffix(strings.TrimSpace(answerFile(t, "job")), "}") + `,"warnings":["day-of-week \"2\" is Tuesday here","line\nbreak"]}`
	one := "firjob: warning: day-of-week \"2\" is Tuesday here\nfirjob: warning: line break\n"
	batch := `{"stored":2,"failed":0,"items":[{"index":0,"job":{"id":1}},{"index":1,"job":{"id":2,"warnings":["it fires 60 times"]}}]}`
	for _, tt := range []struct {
		answer, stdin, args, want string
	}{
		{job, "", "job create a --app b --handler c --every 1m", one},
		{job, "", "job create a --app b --handler c --every 1m -o json", one},
		{job, "", "job edit 42 --timeout 5s", one},
		{batch, "[{},{}]", "job batch -f -", "firjob: warning: job 2 of the file: it fires 60 times\n"},
	} {
		api := newFakeAPI(t, answer{http.StatusOK, tt.answer})
		if got := api.ran(t, nil, tt.stdin, strings.Fields(tt.args)...); got.code != exitOK || got.stderr != tt.want || got.stdout == "" {
			t.Errorf("%s: got %+v, want %q on stderr", tt.args, got, tt.want)
		}
	}
}
