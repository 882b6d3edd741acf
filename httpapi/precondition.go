package httpapi

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/firjob/firjob"
)

// entityTag returns the ETag of a version (RFC 9110, section 8.8.3).
func entityTag(version int) string { return `"` + strconv.Itoa(version) + `"` }

// anyVersion is the If-Match of a change that may be made to whatever is there.
const anyVersion = "*"

// elementOf is one element of a list of entity tags, and strongTag what all of them
// have to be if none matches: a weak one never does (RFC 9110, section 13.1.1), and
// whoever sends it is told so.
var (
	elementOf = regexp.MustCompile(`(?:W/)?"[^"]*"[^,]*|[^,\s][^,]*`)
	strongTag = regexp.MustCompile(`^"[^"\x00-\x20\x7f]*"$`)
)

// checkMatch holds the If-Match of a request against the version of what it is
// about to change, under the lock of that change: * or one of several tags.
// CodePreconditionRequired without a header, CodeInvalid for one that is neither,
// CodePreconditionFailed if it names other versions.
func checkMatch(header string, version int) error {
	header = strings.TrimSpace(header)
	switch {
	case header == "":
		return firjob.Errorf(firjob.CodePreconditionRequired,
			"the header If-Match is missing: send the ETag of what you have read, or * for whatever is there")
	case header == anyVersion:
		return nil
	}
	tags := elementOf.FindAllString(header, -1)
	for i, tag := range tags {
		tags[i] = strings.TrimSpace(tag)
	}
	isNone := func(tag string) bool { return !strongTag.MatchString(tag) }
	switch {
	case slices.Contains(tags, entityTag(version)):
		return nil
	case len(tags) == 0, slices.ContainsFunc(tags, isNone):
		return faulty("header.If-Match", header,
			fmt.Sprintf("must be an ETag as it was answered, in its quotes and without W/, such as %s; "+
				"or several of them, separated by commas; or *", entityTag(3)))
	}
	return firjob.Errorf(firjob.CodePreconditionFailed,
		"it is at version %d now, which If-Match does not name: read it again", version)
}
