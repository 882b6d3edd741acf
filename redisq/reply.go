package redisq

import "strconv"

// reply is what a script returned. The scripts are ours, so that a value that
// is not there or of another type reads as zero rather than as an error.
type reply []any

// reply returns the call's reply, empty if it failed.
func (k call) reply() reply {
	list, _ := k.cmd.Val().([]any)
	return list
}

func (r reply) text(i int) string {
	if i >= len(r) {
		return ""
	}
	text, _ := r[i].(string)
	return text
}

func (r reply) number(i int) int64 {
	if i >= len(r) {
		return 0
	}
	n, _ := r[i].(int64)
	return n
}

// score reads a time that a script gives as text; false if there is none.
func (r reply) score(i int) (float64, bool) {
	f, err := strconv.ParseFloat(r.text(i), 64)
	return f, err == nil
}

// list reads a list of texts within the reply.
func (r reply) list(i int) []string {
	if i >= len(r) {
		return nil
	}
	inner, _ := r[i].([]any)
	texts := make([]string, len(inner))
	for j := range inner {
		texts[j] = reply(inner).text(j)
	}
	return texts
}
