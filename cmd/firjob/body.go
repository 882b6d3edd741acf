package main

import "net/url"

// object is a JSON object to be sent.
type object map[string]any

// put adds a member if v was given.
func put[T any](o object, name string, v *T) {
	if v != nil {
		o[name] = *v
	}
}

// nest adds an object as a member if anything is in it.
func nest(o object, name string, inner object) {
	if len(inner) > 0 {
		o[name] = inner
	}
}

func putQuery(query url.Values, name, value string) {
	if value != "" {
		query.Set(name, value)
	}
}

func reasonBody(reason string) object {
	o := object{}
	if reason != "" {
		o["reason"] = reason
	}
	return o
}

// dryRun is the query of a request that is not to change anything, or is.
func dryRun(dry bool) url.Values {
	if !dry {
		return nil
	}
	return url.Values{"dry_run": {"true"}}
}
