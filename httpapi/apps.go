package httpapi

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"

	"github.com/firjob/firjob"
)

func (s *server) routeApps() {
	register(s, operation{id: "create-app", method: http.MethodPost, path: "/apps", tag: "Apps",
		summary: "Make an app", description: "This answer is the only place where the secret is ever shown.",
		created: true, body: reflect.TypeFor[appInput]()}, s.createApp)
	register(s, operation{id: "list-apps", method: http.MethodGet, path: "/apps", tag: "Apps",
		summary: "List apps, by name"}, s.listApps)
	register(s, operation{id: "list-executors", method: http.MethodGet, path: "/apps/{app}/executors", tag: "Apps",
		summary: "List the live executors of an app"}, s.listExecutors)
}

type appInput struct {
	Name   *string `json:"name,omitempty" required:"true" doc:"The app's name" example:"billing"`
	Secret *string `json:"secret,omitempty" minLength:"32" pattern:"^[!-~]*$" writeOnly:"true" doc:"What its executors authenticate with, in printable ASCII without spaces; made up if absent"`
}

type appBody struct {
	Name      string  `json:"name" example:"billing"`
	CreatedAt instant `json:"created_at"`
}

type newAppBody struct {
	Name      string  `json:"name" example:"billing"`
	Secret    string  `json:"secret" doc:"Shown only here"`
	CreatedAt instant `json:"created_at"`
}

func (s *server) createApp(ctx context.Context, in *struct{ RawBody []byte }) (*created[newAppBody], error) {
	body, err := parseBody(in.RawBody)
	if err != nil {
		return nil, err
	}
	name, secret, err := s.appOf(body)
	if err != nil {
		return nil, err
	}
	app, err := s.Store.CreateApp(ctx, name, firjob.AuthHash(secret), firjob.SigningKey(secret))
	if err != nil {
		return nil, fmt.Errorf("create app: %w", err)
	}
	return &created[newAppBody]{
		Location: "/api/v1/apps/" + app.Name + "/executors",
		Body:     newAppBody{Name: app.Name, Secret: secret, CreatedAt: instant(app.CreatedAt)},
	}, nil
}

func (s *server) appOf(body json.RawMessage) (name, secret string, err error) {
	f := &faults{}
	in := decode[appInput](s, body, f)
	set(&name, in.Name)
	f.also(firjob.ValidateAppName(name))
	if in.Secret == nil {
		secret = newSecret()
		return name, secret, f.err()
	}
	secret = *in.Secret
	switch {
	case strings.ContainsFunc(secret, func(r rune) bool { return r <= ' ' || r > '~' }):
		f.add("secret", nil, "must have printable ASCII characters alone, and no space: it travels in a header")
	case len(secret) < firjob.MinSecretSize:
		f.add("secret", nil, fmt.Sprintf("is shorter than %d characters", firjob.MinSecretSize))
	}
	return name, secret, f.err()
}

// newSecret returns 32 random bytes in hex.
func newSecret() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand aborts the program instead
	return hex.EncodeToString(b[:])
}

func (s *server) listApps(ctx context.Context, _ *struct{}) (*answer[list[appBody]], error) {
	apps, err := s.Store.Apps(ctx)
	if err != nil {
		return nil, fmt.Errorf("list apps: %w", err)
	}
	out := &answer[list[appBody]]{list[appBody]{Items: []appBody{}}}
	for _, a := range apps {
		out.Body.Items = append(out.Body.Items, appBody{Name: a.Name, CreatedAt: instant(a.CreatedAt)})
	}
	return out, nil
}

type executorBody struct {
	App         string               `json:"app" example:"billing"`
	Address     string               `json:"address" example:"10.0.0.7:9999"`
	Incarnation string               `json:"incarnation" doc:"Fresh at each start"`
	Version     string               `json:"version" doc:"The program, as it calls itself"`
	Capacity    int                  `json:"capacity" doc:"Handlers that run at a time"`
	Queue       int                  `json:"queue" doc:"Triggers it holds beyond those"`
	Running     int                  `json:"running" doc:"Handlers running or waiting at the last beat"`
	State       firjob.ExecutorState `json:"state" enum:"active,draining"`
	StartedAt   instant              `json:"started_at"`
	LastBeat    instant              `json:"last_beat"`
}

type appPath struct {
	App string `path:"app" doc:"The app's name" example:"billing"`
}

func (s *server) listExecutors(ctx context.Context, in *appPath) (*answer[list[executorBody]], error) {
	if _, err := s.Store.AppAuthHash(ctx, in.App); err != nil { // CodeNotFound for an unknown app
		return nil, fmt.Errorf("find app %q: %w", in.App, err)
	}
	executors, err := s.Scheduler.Executors(ctx, in.App)
	if err != nil {
		return nil, fmt.Errorf("list executors of app %q: %w", in.App, err)
	}
	out := &answer[list[executorBody]]{list[executorBody]{Items: []executorBody{}}}
	for _, e := range executors {
		out.Body.Items = append(out.Body.Items, executorBody{App: e.App, Address: e.Address, Incarnation: e.Incarnation,
			Version: e.Version, Capacity: e.Capacity, Queue: e.Queue, Running: e.Running, State: e.State,
			StartedAt: instant(e.StartedAt), LastBeat: instant(e.LastBeat)})
	}
	return out, nil
}
