// Package codec writes and reads the messages that servers and executors exchange
// by the hundred: batches of triggers, batches of results, and the answers to both.
// Each has two encodings. JSON is the protocol's own, which every peer takes. The
// compact one is CBOR (RFC 8949), a third of the bytes and of the CPU, for peers
// that say that they take it.
//
// A peer says so in the Accept header of its answers (RFC 9110, section 12.5.1);
// until it has, it gets JSON. A request's Content-Type says what its body is, and
// its answer comes in the same encoding. Errors are JSON in either case.
package codec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"strings"

	"github.com/firjob/firjob"
)

// Encoding is how a message is written, by its media type.
type Encoding string

// The encodings. The number in CBOR's name changes when a peer that knows the
// earlier form would misread the later one; see cbor.go for what does not count.
const (
	JSON Encoding = "application/json"
	CBOR Encoding = "application/vnd.firjob.v1+cbor"
)

// Accepts is the Accept header of those who take both.
const Accepts = string(CBOR + ", " + JSON)

// Of returns the encoding of a body with the given Content-Type. Without one it is
// JSON; parameters do not count. An error names what would be right.
func Of(contentType string) (Encoding, error) {
	if contentType == "" || contentType == string(JSON) {
		return JSON, nil
	}
	media, _, err := mime.ParseMediaType(contentType)
	if e := Encoding(media); err == nil && (e == JSON || e == CBOR) {
		return e, nil
	}
	return "", fmt.Errorf("a body of the type %q cannot be read; want %s, or %s where the protocol names it",
		contentType, JSON, CBOR)
}

// OfAnswer returns the encoding of an answer with the given Content-Type, which is
// JSON unless it says otherwise: not every executor says anything.
func OfAnswer(contentType string) Encoding {
	if contentType == string(CBOR) {
		return CBOR
	}
	return JSON
}

// Takes returns the best encoding for requests to a peer whose answers have the
// given Accept headers.
func Takes(accept []string) Encoding {
	for _, line := range accept {
		if line == Accepts {
			return CBOR
		}
		for part := range strings.SplitSeq(line, ",") {
			media, params, err := mime.ParseMediaType(part)
			if q, told := params["q"]; err == nil && media == string(CBOR) && (!told || strings.Trim(q, "0.") != "") {
				return CBOR // q=0 is how to say no
			}
		}
	}
	return JSON
}

// Message is one that has both encodings.
type Message interface {
	firjob.TriggerBatch | firjob.TriggerReply | firjob.Callback | firjob.CallbackReply
}

// Encode writes a message.
func Encode[M Message](e Encoding, m *M) ([]byte, error) {
	if e == CBOR {
		return encodeCBOR(m)
	}
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false) // params may be full of <
	if err := encoder.Encode(m); err != nil {
		return nil, err
	}
	return body.Bytes(), nil
}

// Decode reads a message that is all of body. It keeps nothing of body.
func Decode[M Message](e Encoding, body []byte, m *M) error {
	if e == CBOR {
		return decodeCBOR(body, m)
	}
	return json.Unmarshal(body, m)
}
