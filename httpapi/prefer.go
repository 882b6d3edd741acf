package httpapi

import "strings"

const returnMinimal = "return=minimal"

// wantsMinimal reports whether a client would rather have ids than the things
// themselves, by the header Prefer of its request (RFC 7240).
func wantsMinimal(prefer string) bool {
	for wish := range strings.SplitSeq(prefer, ",") {
		wish, _, _ = strings.Cut(wish, ";") // parameters
		if name, value, _ := strings.Cut(wish, "="); strings.EqualFold(strings.TrimSpace(name), "return") {
			return strings.EqualFold(strings.Trim(strings.TrimSpace(value), `"`), "minimal") // the first counts
		}
	}
	return false
}
