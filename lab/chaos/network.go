package chaos

import (
	"context"
	"time"
)

func networkClasses() []class {
	return []class{
		{"triggers-cut", triggers, spell, disturb(Disturbance{Cut: true}), nil},
		{"triggers-slow", triggers, spell, disturb(Disturbance{Delay: 3 * time.Second}), nil},
		{"triggers-lose-answers", triggers, spell, disturb(Disturbance{LoseAnswer: 0.5}), nil},
		{"triggers-twice", triggers, spell, disturb(Disturbance{Duplicate: 0.5, Reorder: 0.3}), nil},
		{"triggers-echo", triggers, spell, disturb(Disturbance{Echo: 1500 * time.Millisecond}), nil},
		{"callbacks-cut", callbacks, aroundLease, disturb(Disturbance{Cut: true}), nil}, // beats, too
		{"callbacks-slow", callbacks, spell, disturb(Disturbance{Delay: 3 * time.Second}), nil},
		{"callbacks-lose-answers", callbacks, spell, disturb(Disturbance{LoseAnswer: 0.5}), nil},
		{"triggers-half-open", triggers, spell, disturb(Disturbance{Hang: true}), nil},
		{"callbacks-half-open", callbacks, aroundLease, disturb(Disturbance{Hang: true}), nil},
		{"callbacks-twice", callbacks, spell, disturb(Disturbance{Duplicate: 0.5, Reorder: 0.3}), nil},
	}
}

// fault makes a link misbehave.
func fault(how Fault) injection {
	return func(_ context.Context, s *stage, f Step) (func(context.Context) error, error) {
		link := s.links[f.Target]
		link.Set(how)
		return func(context.Context) error {
			link.Set(Fault{})
			return nil
		}, nil
	}
}

// disturb makes a tap misbehave.
func disturb(how Disturbance) injection {
	return func(_ context.Context, s *stage, f Step) (func(context.Context) error, error) {
		tap := s.taps[f.Target]
		tap.Set(how)
		return func(context.Context) error {
			tap.Set(Disturbance{})
			return nil
		}, nil
	}
}
