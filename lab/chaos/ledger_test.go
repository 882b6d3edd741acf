package chaos_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob/lab/chaos"
	"github.com/firjob/firjob/lab/checker"
)

func TestLedgerRefusesLowerTokens(t *testing.T) {
	t.Parallel()
	ledger, err := chaos.NewLedger()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ledger.Close() })
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for _, step := range []struct {
		entry chaos.Entry
		want  int
	}{
		{chaos.Entry{Key: "a", Token: 5}, http.StatusOK},
		{chaos.Entry{Key: "a", Token: 5}, http.StatusOK}, // the same attempt may write again
		{chaos.Entry{Key: "a", Token: 7}, http.StatusOK},
		{chaos.Entry{Key: "a", Token: 5}, http.StatusConflict},
		{chaos.Entry{Key: "b", Token: 1}, http.StatusOK},
		{chaos.Entry{Token: 1}, http.StatusBadRequest},
	} {
		text, err := json.Marshal(step.entry)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Post(ledger.URL(), "application/json", bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != step.want {
			t.Errorf("%+v: status %d, want %d", step.entry, resp.StatusCode, step.want)
		}
	}
	want := []checker.Effect{{Key: "a", Token: 5}, {Key: "a", Token: 5}, {Key: "a", Token: 7}, {Key: "a", Token: 5, Refused: true}, {Key: "b", Token: 1}}
	if diff := cmp.Diff(want, ledger.Effects()); diff != "" {
		t.Errorf("effects (-want +got):\n%s", diff)
	}
}
