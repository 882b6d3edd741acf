package main

import (
	"context"
	"runtime/debug"
)

// system is a scheduler with its processes and stores, in the configuration that
// its manual recommends for durable use.
type system interface {
	// start starts what runs: schedulers that know the ticks, and workers.
	start(ctx context.Context, r *rig, ticks []tick) error
	stop(ctx context.Context) error
	// submit hands tasks over and returns what the system calls them, in order.
	submit(ctx context.Context, list []task) (ids []string, err error)
	// done reports whether the system says that the execution has succeeded.
	done(ctx context.Context, id string) (bool, error)
	// open counts what is due and not final, by the system's own books.
	open(ctx context.Context) (int, error)
	schedulers() []member
	workers() []member
	// leader is the scheduler whose ticks count, nil if any may be.
	leader(ctx context.Context) (member, error)
	// answering are the processes that acknowledge results, besides the store.
	answering() []member
}

// contender is a system in one configuration.
type contender struct {
	Name       string   `json:"name"`
	Module     string   `json:"module"`
	Version    string   `json:"version"`
	Settings   []string `json:"settings"`
	Promise    string   `json:"promise"` // what it does and does not promise, in fairness
	Postgres   bool     `json:"postgres"`
	Redis      bool     `json:"redis"`
	schedulers int      // 0: as many as the experiment says
	make       func(size) system
}

// size is how many processes of each kind.
type size struct {
	schedulers, workers int
	tuned               bool
}

// contenders are all of them, fir-job first.
func contenders() []contender {
	list := append([]contender{firjobContender()}, asynqContenders()...)
	list = append(list, riverContender())
	for i := range list {
		list[i].Version = versionOf(list[i].Module)
	}
	return list
}

// versionOf is the version of a module that is linked here; fir-job is the tree
// that this module is in.
func versionOf(module string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, dep := range info.Deps {
		if dep.Path == module {
			if dep.Replace != nil {
				return "this tree"
			}
			return dep.Version
		}
	}
	return "unknown"
}
