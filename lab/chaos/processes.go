package chaos

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/firjob/firjob/internal/cluster"
)

func processClasses() []class {
	return []class{
		{"kill-replica", servers, spell, killProcess, nil},
		{"kill-executor", workers, spell, killProcess, nil},
		{"restart-executor", workers, instant, restartProcess, nil}, // another process at the same address
		{"restart-replica", servers, instant, restartProcess, nil},
		{"pause-replica", servers, aroundLease, pauseProcess, nil},
		{"pause-executor", workers, aroundLease, pauseProcess, nil},
		{"rolling-restart", just("server"), instant, rollingRestart, nil},
		{"drain-executor", workers, spell, drainExecutor, nil},
		{"clock-ahead", servers, spell, withClock("FIRJOB_CLOCK_OFFSET=30s"), nil},
		{"clock-behind", servers, spell, withClock("FIRJOB_CLOCK_OFFSET=-30s"), nil},
		{"clock-fast", servers, spell, withClock("FIRJOB_CLOCK_DRIFT=150"), nil},
		{"clock-slow", servers, spell, withClock("FIRJOB_CLOCK_DRIFT=-150"), nil},
		{"executor-clock-ahead", workers, spell, withClock("FIRJOB_CLOCK_OFFSET=30s"), nil},
		{"executor-clock-behind", workers, spell, withClock("FIRJOB_CLOCK_OFFSET=-30s"), nil},
		{"executor-clock-fast", workers, spell, withClock("FIRJOB_CLOCK_DRIFT=5000"), nil},
		{"executor-clock-slow", workers, spell, withClock("FIRJOB_CLOCK_DRIFT=-5000"), nil},
	}
}

// start starts a process again and, if it is a server, waits until it is ready.
func (s *stage) start(ctx context.Context, p *cluster.Process) error {
	if err := p.Start(); err != nil {
		return err
	}
	if strings.HasPrefix(p.Name, "server-") {
		return s.AwaitReady(ctx, p)
	}
	return nil
}

func killProcess(_ context.Context, s *stage, f Step) (func(context.Context) error, error) {
	p := s.process(f.Target)
	return func(ctx context.Context) error { return s.start(ctx, p) }, p.Kill()
}

func restartProcess(ctx context.Context, s *stage, f Step) (func(context.Context) error, error) {
	p := s.process(f.Target)
	if err := p.Kill(); err != nil {
		return nil, err
	}
	return nil, s.start(ctx, p)
}

func pauseProcess(_ context.Context, s *stage, f Step) (func(context.Context) error, error) {
	p := s.process(f.Target)
	return func(context.Context) error { return p.Resume() }, p.Pause()
}

// drainExecutor ends an executor in the way that it should be ended.
func drainExecutor(ctx context.Context, s *stage, f Step) (func(context.Context) error, error) {
	p := s.process(f.Target)
	return func(ctx context.Context) error { return s.start(ctx, p) }, end(ctx, p)
}

// end ends a process gently; one that takes too long is killed, which is what
// would happen to it elsewhere, too.
func end(ctx context.Context, p *cluster.Process) error {
	const patience = 20 * time.Second
	limit, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := p.Stop(limit); err != nil && ctx.Err() != nil {
		return err
	}
	return nil
}

func rollingRestart(ctx context.Context, s *stage, _ Step) (func(context.Context) error, error) {
	for _, p := range s.Servers {
		if err := errors.Join(end(ctx, p), s.start(ctx, p)); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// upgrade is a rolling restart from the old binary to the one under test.
func upgrade(ctx context.Context, s *stage, f Step) (func(context.Context) error, error) {
	for _, p := range s.Servers {
		p.Vary(s.options.Binary)
	}
	return rollingRestart(ctx, s, f)
}

// withClock starts a process anew with a clock of its own.
func withClock(setting string) injection {
	return func(ctx context.Context, s *stage, f Step) (func(context.Context) error, error) {
		p := s.process(f.Target)
		again := func(ctx context.Context) error {
			if err := p.Kill(); err != nil {
				return err
			}
			return s.start(ctx, p)
		}
		p.Vary("", setting)
		err := again(ctx)
		return func(ctx context.Context) error {
			p.Vary("")
			return again(ctx)
		}, err
	}
}
