package client

import "net/url"

// Object is a JSON object to be sent.
type Object map[string]any

// Put adds a member if v was given.
func Put[T any](o Object, name string, v *T) {
	if v != nil {
		o[name] = *v
	}
}

// Nest adds an object as a member if anything is in it.
func Nest(o Object, name string, inner Object) {
	if len(inner) > 0 {
		o[name] = inner
	}
}

func PutQuery(query url.Values, name, value string) {
	if value != "" {
		query.Set(name, value)
	}
}

func ReasonBody(reason string) Object {
	o := Object{}
	if reason != "" {
		o["reason"] = reason
	}
	return o
}

// DryRun is the query of a request that is not to change anything, or is.
func DryRun(dry bool) url.Values {
	if !dry {
		return nil
	}
	return url.Values{"dry_run": {"true"}}
}
