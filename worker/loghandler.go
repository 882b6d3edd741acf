package worker

import (
	"context"
	"log/slog"
	"slices"
)

// logHandler is what is behind Task.Log: each record goes to the worker's own
// log, and from a level on also to the server.
type logHandler struct {
	own   slog.Handler // with what tells the attempt apart from others
	said  *stream
	scope *scope
}

// scope is what With and WithGroup have added, the latest first: attributes, or
// the name of a group that is around all that comes after.
type scope struct {
	outer *scope
	group string
	attrs []slog.Attr
}

// Enabled implements slog.Handler.
func (h *logHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.streams(level) || h.own.Enabled(ctx, level)
}

func (h *logHandler) streams(level slog.Level) bool { return level >= h.said.reporter.level.Level() }

// Handle implements slog.Handler. The error is that of the worker's own log.
func (h *logHandler) Handle(ctx context.Context, r slog.Record) error {
	if h.streams(r.Level) {
		at := h.said.reporter.timeOf(r.Time)
		h.said.add(line{at, encodeLine(at, r.Level, r.Message, h.attrs(r))})
	}
	if !h.own.Enabled(ctx, r.Level) {
		return nil
	}
	return h.own.Handle(ctx, r)
}

// attrs returns the attributes of a record, those of its scope around them.
func (h *logHandler) attrs(r slog.Record) []slog.Attr {
	attrs := make([]slog.Attr, 0, r.NumAttrs())
	r.Attrs(func(a slog.Attr) bool {
		attrs = append(attrs, a)
		return true
	})
	for s := h.scope; s != nil; s = s.outer {
		if s.group != "" {
			attrs = []slog.Attr{{Key: s.group, Value: slog.GroupValue(attrs...)}}
		} else {
			attrs = slices.Concat(s.attrs, attrs)
		}
	}
	return attrs
}

// WithAttrs implements slog.Handler.
func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	return &logHandler{own: h.own.WithAttrs(attrs), said: h.said, scope: &scope{outer: h.scope, attrs: attrs}}
}

// WithGroup implements slog.Handler.
func (h *logHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return &logHandler{own: h.own.WithGroup(name), said: h.said, scope: &scope{outer: h.scope, group: name}}
}
