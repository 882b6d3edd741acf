package httpapi

import (
	"strconv"
	"strings"

	"github.com/firjob/firjob"
)

// entityTag returns the ETag of a version (RFC 9110, section 8.8.3).
func entityTag(version int) string { return `"` + strconv.Itoa(version) + `"` }

// anyVersion is the If-Match of a change that may be made to whatever is there.
const anyVersion = "*"

// checkMatch holds the If-Match of a request against the version of what it is
// about to change, under the lock of that change: * or one of several tags. A
// weak tag never matches (RFC 9110, section 13.1.1). CodePreconditionRequired
// without a header, CodePreconditionFailed if it was changed since.
func checkMatch(header string, version int) error {
	if strings.TrimSpace(header) == "" {
		return firjob.Errorf(firjob.CodePreconditionRequired,
			"the header If-Match is missing: send the ETag of what you have read, or * for whatever is there")
	}
	for tag := range strings.SplitSeq(header, ",") {
		if tag = strings.TrimSpace(tag); tag == anyVersion || tag == entityTag(version) {
			return nil
		}
	}
	return firjob.Errorf(firjob.CodePreconditionFailed,
		"it was changed since, and is at version %d now: read it again", version)
}
