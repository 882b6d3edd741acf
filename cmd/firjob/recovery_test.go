package main

import (
	"strings"
	"testing"
)

func TestRedriveSaysWhatWasRefused(t *testing.T) {
	t.Parallel()
	for _, form := range []string{"table", "json"} {
		api := newFakeAPI(t, ok(`{"done":0,"refused":1,"items":[{"id":"`+anExecution+`","error":{"code":"conflict","detail":"it was redriven already"}}]}`))
		got := api.ran(t, nil, "", "dead-letter", "redrive", anExecution, "-o", form)
		if got.code != exitFailure || !strings.Contains(got.stdout, "it was redriven already") || got.stderr != "firjob: 1 of the dead letters was refused\n" {
			t.Errorf("%s: got %+v", form, got)
		}
	}
}

func TestDeadLettersMustBeNamed(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"redrive"},
		{"dismiss", "--limit", "3"},
		{"redrive", anExecution, "--all"},
		{"redrive", anExecution, "--job", "42"},
		{"redrive", "nonsense"},
	} {
		api := newFakeAPI(t, ok(`{}`))
		got := api.ran(t, nil, "", append([]string{"dead-letter"}, args...)...)
		if got.code != exitUsage || len(api.requests()) != 0 {
			t.Errorf("%v: got %+v and the requests %+v; want a usage error and none", args, got, api.requests())
		}
	}
}

func TestExplainWantsATime(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"42"}, {"42", "--at", "someday"}} {
		api := newFakeAPI(t, ok(`{}`))
		got := api.ran(t, nil, "", append([]string{"job", "explain"}, args...)...)
		if got.code != exitUsage || len(api.requests()) != 0 {
			t.Errorf("%v: got %+v and the requests %+v; want a usage error and none", args, got, api.requests())
		}
	}
}
