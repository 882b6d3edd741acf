package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"strings"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/naming"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/internal/validate"
)

func (s *server) routeAppExecutors() {
	register(s, operation{id: "list-executors", method: http.MethodGet, path: "/apps/{app}/executors", tag: "Apps",
		summary: "List the live executors of an app",
		description: "As the server that answers sees them; the others see the same a moment later. Addresses at " +
			"which no " +
			"executor lives, but about which something is set, are listed with live false."}, s.listExecutors)
	register(s, operation{id: "set-executor-state", method: http.MethodPut,
		path: "/apps/{app}/executors/{address}/state", tag: "Apps",
		summary: "Say whether an executor takes anything new",
		description: "It counts from the answer on, on every replica, for whatever process beats at the address, " +
			"until it is set " +
			"to active. What the executor has it finishes. Of this and of what it says of itself the " +
			"stricter counts: " +
			"draining before cordoned before active.",
		body: reflect.TypeFor[stateInput]()}, s.setExecutorState)
}

type executorBody struct {
	App         string               `json:"app" example:"billing"`
	Address     string               `json:"address" example:"10.0.0.7:9999"`
	Incarnation string               `json:"incarnation" doc:"Fresh at each start"`
	Version     string               `json:"version" doc:"The program, as it calls itself"`
	Labels      map[string]string    `json:"labels" nullable:"false" doc:"What selectors of jobs ask for"`
	Capacity    int                  `json:"capacity" doc:"Handlers that run at a time"`
	Queue       int                  `json:"queue" doc:"Triggers it holds beyond those"`
	Running     int                  `json:"running" doc:"Handlers running or waiting at the last beat"`
	State       firjob.ExecutorState `json:"state" enum:"active,cordoned,draining" doc:"What counts: the stricter of own_state and mark"`
	OwnState    firjob.ExecutorState `json:"own_state,omitempty" enum:"active,cordoned,draining" doc:"What it says of itself"`
	Mark        *markBody            `json:"mark,omitempty" doc:"What somebody has set about it"`
	Live        bool                 `json:"live" doc:"It beats, or answers at its port"`
	Mute        bool                 `json:"mute" doc:"Its port answers, but no beat has arrived for 3 s: it keeps what it has and gets nothing new"`
	Breaker     string               `json:"breaker" enum:"closed,open" doc:"Open: the last requests of seen_by failed, and few are made until one succeeds"`
	LastError   string               `json:"last_error,omitempty" doc:"Why the latest request of seen_by failed that did"`
	LastErrorAt *instant             `json:"last_error_at,omitempty"`
	SeenBy      string               `json:"seen_by" doc:"The server whose requests breaker and last_error are about"`
	StartedAt   *instant             `json:"started_at,omitempty"`
	LastBeat    *instant             `json:"last_beat,omitempty"`
}

type markBody struct {
	State     firjob.ExecutorState `json:"state" enum:"active,cordoned,draining"`
	Reason    string               `json:"reason" doc:"Why, as it was given"`
	CreatedAt instant              `json:"created_at"`
}

type executorQuery struct {
	App   string   `path:"app" doc:"The app's name" example:"billing"`
	State string   `query:"state" enum:"active,cordoned,draining" doc:"Executors whose state counts as this"`
	Label []string `query:"label,explode" doc:"Executors with this label; several ask for all of them" example:"zone=eu"`
}

func (s *server) listExecutors(ctx context.Context, in *executorQuery) (*answer[list[executorBody]], error) {
	filter := ports.ExecutorFilter{State: firjob.ExecutorState(in.State), Labels: make(map[string]string)}
	for _, label := range in.Label {
		name, value, ok := strings.Cut(label, "=")
		if other, twice := filter.Labels[name]; !ok || twice && other != value {
			return nil, faulty("query.label", label, "must be name=value, and each name stand there once")
		}
		filter.Labels[name] = value
	}
	if _, err := s.Store.AppAuthHash(ctx, in.App); err != nil { // CodeNotFound for an unknown app
		return nil, fmt.Errorf("find app %q: %w", in.App, err)
	}
	executors, err := s.Scheduler.Executors(ctx, in.App, filter)
	if err != nil {
		return nil, fmt.Errorf("list executors of app %q: %w", in.App, err)
	}
	out := &answer[list[executorBody]]{list[executorBody]{Items: []executorBody{}}}
	for _, e := range executors {
		out.Body.Items = append(out.Body.Items, bodyOfExecutor(e))
	}
	return out, nil
}

func bodyOfExecutor(e ports.ExecutorView) executorBody {
	body := executorBody{App: e.App, Address: e.Address, Incarnation: e.Incarnation, Version: e.Version,
		Labels:   e.Labels,
		Capacity: e.Capacity, Queue: e.Queue, Running: e.Running, State: e.Counts, OwnState: e.State, Live: e.Live,
		Mute: e.Mute, Breaker: "closed",
		SeenBy: e.SeenBy}
	if body.Labels == nil {
		body.Labels = map[string]string{}
	}
	if e.BreakerOpen {
		body.Breaker = "open"
	}
	if at := instant(e.LastErrorAt); e.LastError != "" {
		body.LastError, body.LastErrorAt = e.LastError, &at
	}
	if e.Mark != nil {
		body.Mark = &markBody{e.Mark.State, e.Mark.Reason, instant(e.Mark.CreatedAt)}
	}
	if started, beat := instant(e.StartedAt), instant(e.LastBeat); e.Live {
		body.StartedAt, body.LastBeat = &started, &beat
	}
	return body
}

type stateInput struct {
	State  *string `json:"state,omitempty" required:"true" enum:"active,cordoned,draining" doc:"cordoned and draining: it gets nothing new"`
	Reason *string `json:"reason,omitempty" maxLength:"200" doc:"Why, for whoever looks at the executors" example:"disk is full"`
}

type stateRequest struct {
	App     string `path:"app" doc:"The app's name" example:"billing"`
	Address string `path:"address" doc:"host:port, as the executor advertises it" example:"10.0.0.7:9999"`
	RawBody []byte
}

func (s *server) setExecutorState(ctx context.Context, in *stateRequest) (*answer[markBody], error) {
	mark, err := s.markOf(in)
	if err != nil {
		return nil, err
	}
	if mark, err = s.Store.MarkExecutor(ctx, mark); err != nil {
		return nil, fmt.Errorf("set the state of %s of app %q: %w", in.Address, in.App, err)
	}
	s.Scheduler.ExecutorMarked(ctx, mark)
	return &answer[markBody]{markBody{mark.State, mark.Reason, instant(mark.CreatedAt)}}, nil
}

func (s *server) markOf(in *stateRequest) (firjob.Mark, error) {
	mark := firjob.Mark{App: in.App, Address: in.Address}
	body, err := parseBody(in.RawBody)
	if err != nil {
		return mark, err
	}
	for _, fault := range naming.Address(in.Address) {
		return mark, faulty("path.address", in.Address, fault.Message)
	}
	f := &faults{}
	input := decode[stateInput](s, body, f)
	var state string
	set(&state, input.State)
	mark.State = firjob.ExecutorState(state)
	f.also(validate.ExecutorState("state", mark.State))
	set(&mark.Reason, input.Reason)
	if len(mark.Reason) > firjob.MaxName || !printable(mark.Reason) {
		f.add("reason", nil, fmt.Sprintf("must have at most %d bytes, all printable", firjob.MaxName))
	}
	mark.Reason = strings.TrimSpace(mark.Reason)
	return mark, f.err()
}
