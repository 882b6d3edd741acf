package httpapi

import (
	"encoding/base64"
	"encoding/binary"

	"github.com/firjob/firjob"
)

// Page tokens are the key after which the next page starts, in base64url. The
// zero key, "no more", is the empty token.

func tokenOfJob(id firjob.JobID) string { return tokenOfNumber(uint32(id)) }

func jobOfToken(token string) (firjob.JobID, error) {
	n, err := numberOfToken(token)
	return firjob.JobID(n), err
}

func tokenOfNumber(n uint32) string {
	if n == 0 {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, n))
}

func numberOfToken(token string) (uint32, error) {
	key, err := keyOfToken(token, 4)
	if err != nil || key == nil {
		return 0, err
	}
	return binary.BigEndian.Uint32(key), nil
}

func tokenOfExecution(id firjob.ExecutionID) string {
	if id.IsZero() {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(id[:])
}

func executionOfToken(token string) (firjob.ExecutionID, error) {
	key, err := keyOfToken(token, len(firjob.ExecutionID{}))
	if err != nil || key == nil {
		return firjob.ExecutionID{}, err
	}
	return firjob.ExecutionID(key), nil
}

func tokenOfName(name string) string { return base64.RawURLEncoding.EncodeToString([]byte(name)) }

func nameOfToken(token string) (string, error) {
	name, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || !printable(string(name)) {
		return "", notOfThisList(token)
	}
	return string(name), nil
}

func keyOfToken(token string, size int) ([]byte, error) {
	if token == "" {
		return nil, nil
	}
	key, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(key) != size {
		return nil, notOfThisList(token)
	}
	return key, nil
}

func notOfThisList(token string) error {
	return faulty("query.page_token", token, "is not a page token of this list")
}

// faulty is the error of one parameter.
func faulty(location string, value any, message string) error {
	return firjob.Invalid([]firjob.FieldError{{Field: location, Value: value, Message: message}})
}
