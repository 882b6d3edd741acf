package firjob_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/firjob/firjob"
)

func TestVerifySignature(t *testing.T) {
	t.Parallel()
	key, other := firjob.SigningKey(strings.Repeat("a", 32)), firjob.SigningKey(strings.Repeat("b", 32))
	at := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	const body = `{"app":"billing"}`
	tests := map[string]struct {
		change func(h http.Header)
		key    []byte
		now    time.Time
		body   string
		want   string // part of the error; "" = none
	}{
		"good":           {key: key, now: at, body: body},
		"at the edge":    {key: key, now: at.Add(firjob.SignatureWindow), body: body},
		"clock behind":   {key: key, now: at.Add(-firjob.SignatureWindow), body: body},
		"too old":        {key: key, now: at.Add(firjob.SignatureWindow + time.Second), body: body, want: "5m1s from now"},
		"of the future":  {key: key, now: at.Add(-firjob.SignatureWindow - time.Second), body: body, want: "compare the clocks"},
		"another key":    {key: other, now: at, body: body, want: "does not fit"},
		"another body":   {key: key, now: at, body: body + " ", want: "does not fit"},
		"another id":     {func(h http.Header) { h.Set(firjob.HeaderWebhookID, "x") }, key, at, body, "does not fit"},
		"another time":   {func(h http.Header) { h.Set(firjob.HeaderWebhookTimestamp, "1798761601") }, key, at, body, "does not fit"},
		"not a time":     {func(h http.Header) { h.Set(firjob.HeaderWebhookTimestamp, "now") }, key, at, body, "is not a Unix time"},
		"no id":          {func(h http.Header) { h.Del(firjob.HeaderWebhookID) }, key, at, body, "is not signed"},
		"no time":        {func(h http.Header) { h.Del(firjob.HeaderWebhookTimestamp) }, key, at, body, "is not signed"},
		"no signature":   {func(h http.Header) { h.Del(firjob.HeaderWebhookSignature) }, key, at, body, "does not fit"},
		"another scheme": {func(h http.Header) { reword(h, "v1,", "v2,") }, key, at, body, "does not fit"},
		"not base64":     {func(h http.Header) { reword(h, "v1,", "v1,*") }, key, at, body, "does not fit"},
		"an old key beside the new": {func(h http.Header) { reword(h, "v1,", "v1,b2xk v1a,eA== v1,") },
			key, at, body, ""},
		"the new key beside an old": {func(h http.Header) {
			h.Set(firjob.HeaderWebhookSignature, h.Get(firjob.HeaderWebhookSignature)+"  v1,b2xk")
		},
			key, at, body, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := http.Header{}
			firjob.Sign(h, key, "msg-1", at, []byte(body))
			if tt.change != nil {
				tt.change(h)
			}
			err := firjob.VerifySignature(h, tt.key, tt.now, []byte(tt.body))
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("got %v, want it accepted", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}

func reword(h http.Header, from, to string) {
	h.Set(firjob.HeaderWebhookSignature, strings.Replace(h.Get(firjob.HeaderWebhookSignature), from, to, 1))
}

func TestSecretsAreDerivedApart(t *testing.T) {
	t.Parallel()
	secret := strings.Repeat("s", firjob.MinSecretSize)
	if bytes.Equal(firjob.AuthHash(secret), firjob.SigningKey(secret)) {
		t.Error("the auth hash is the signing key")
	}
	if bytes.Equal(firjob.SigningKey(secret), firjob.SigningKey(secret+"s")) {
		t.Error("two secrets have one key")
	}
}
