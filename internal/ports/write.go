package ports

import "context"

// Write is how a change that somebody asks for through the API is to be made. It
// travels in the context of the request, because it concerns the transaction as
// such and none of the things that are changed in it.
type Write struct {
	// DryRun lets the store do everything and then roll back: the answer is what
	// it would have been.
	DryRun bool
	// Key makes a repeat of the request harmless; "" = none. It is recorded in
	// the transaction of the change, for the operation, with a fingerprint of
	// the request.
	Key         string
	Operation   string // method and path
	Fingerprint []byte
}

// Alone reports whether the change needs a transaction of its own.
func (w Write) Alone() bool { return w.DryRun || w.Key != "" }

// Answer is the recorded answer to a request with a key.
type Answer struct {
	Status  int // 0: it was carried out, but the answer was never recorded
	Headers map[string]string
	Body    []byte
}

type writeKey struct{}

// WithWrite returns a context that carries w.
func WithWrite(ctx context.Context, w Write) context.Context {
	return context.WithValue(ctx, writeKey{}, w)
}

// WriteOf returns what ctx carries; the zero Write if nothing.
func WriteOf(ctx context.Context) Write {
	w, _ := ctx.Value(writeKey{}).(Write)
	return w
}
