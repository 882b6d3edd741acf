package httpapi

import (
	"encoding/base64"
	"encoding/binary"

	"github.com/firjob/firjob"
)

// Page tokens are the key after which the next page starts, in base64url. The
// zero key, "no more", is the empty token.

func tokenOfJob(id firjob.JobID) string {
	if id == 0 {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, uint32(id)))
}

func jobOfToken(token string) (firjob.JobID, error) {
	key, err := keyOfToken(token, 4)
	if err != nil || key == nil {
		return 0, err
	}
	return firjob.JobID(binary.BigEndian.Uint32(key)), nil
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

func keyOfToken(token string, size int) ([]byte, error) {
	if token == "" {
		return nil, nil
	}
	key, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(key) != size {
		return nil, faulty("query.page_token", token, "is not a page token of this list")
	}
	return key, nil
}

// faulty is the error of one parameter.
func faulty(location string, value any, message string) error {
	return firjob.Invalid([]firjob.FieldError{{Field: location, Value: value, Message: message}})
}
