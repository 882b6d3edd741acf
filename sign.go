package firjob

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Headers of a signed request, as Standard Webhooks 1.0 names them
// (github.com/standard-webhooks/standard-webhooks, spec).
const (
	HeaderWebhookID        = "Webhook-Id"
	HeaderWebhookTimestamp = "Webhook-Timestamp"
	HeaderWebhookSignature = "Webhook-Signature"
)

// SignatureWindow is how far a signed request's time may be from the
// receiver's clock. It bounds replays; within it the receiver is safe because
// it acts on each (execution, token) once.
const SignatureWindow = 5 * time.Minute

// AuthHash returns what a server stores to check an app's secret.
func AuthHash(secret string) []byte { return derive("firjob auth v1", secret) }

// SigningKey returns the key by which the server signs what it sends to the
// app's executors. Neither it nor AuthHash gives the secret away.
func SigningKey(secret string) []byte { return derive("firjob sign v1", secret) }

// A secret holds 32 random characters or more, so one round is enough: there
// is nothing to guess.
func derive(purpose, secret string) []byte {
	mac := hmac.New(sha256.New, []byte(purpose))
	mac.Write([]byte(secret))
	return mac.Sum(nil)
}

// Sign sets the three headers over id, at and body.
func Sign(h http.Header, key []byte, id string, at time.Time, body []byte) {
	ts := strconv.FormatInt(at.Unix(), 10)
	h.Set(HeaderWebhookID, id)
	h.Set(HeaderWebhookTimestamp, ts)
	h.Set(HeaderWebhookSignature, "v1,"+base64.StdEncoding.EncodeToString(signature(key, id, ts, body)))
}

// VerifySignature checks the three headers over body. Several signatures,
// separated by spaces, may stand there while a key is rotated; one must fit.
func VerifySignature(h http.Header, key []byte, now time.Time, body []byte) error {
	id, ts := h.Get(HeaderWebhookID), h.Get(HeaderWebhookTimestamp)
	if id == "" || ts == "" {
		return errors.New("the request is not signed")
	}
	sec, err := strconv.ParseInt(ts, 10, 64)
	if err != nil {
		return fmt.Errorf("%s is not a Unix time", HeaderWebhookTimestamp)
	}
	if d := now.Sub(time.Unix(sec, 0)); d > SignatureWindow || d < -SignatureWindow {
		return fmt.Errorf("the signature is %v from now, more than %v: compare the clocks", d.Round(time.Second),
			SignatureWindow)
	}
	want := signature(key, id, ts, body)
	for part := range strings.FieldsSeq(h.Get(HeaderWebhookSignature)) {
		version, text, _ := strings.Cut(part, ",")
		got, err := base64.StdEncoding.DecodeString(text)
		if version == "v1" && err == nil && hmac.Equal(got, want) {
			return nil
		}
	}
	return errors.New("the signature does not fit the app's secret")
}

func signature(key []byte, id, ts string, body []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + ts + "."))
	mac.Write(body)
	return mac.Sum(nil)
}
