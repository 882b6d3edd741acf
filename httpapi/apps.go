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
	"github.com/firjob/firjob/internal/naming"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/internal/validate"
)

func (s *server) routeApps() {
	register(s, operation{id: "create-app", method: http.MethodPost, path: "/apps", tag: "Apps",
		summary: "Make an app", description: "This answer is the only place where the secret is ever shown.",
		created: true, secret: true, body: reflect.TypeFor[appInput]()}, s.createApp)
	register(s, operation{id: "list-apps", method: http.MethodGet, path: "/apps", tag: "Apps",
		summary: "List apps, by name"}, s.listApps)
	register(s, operation{id: "get-app", method: http.MethodGet, path: "/apps/{app}", tag: "Apps",
		summary: "Show an app"}, s.getApp)
	register(s, operation{id: "edit-app", method: http.MethodPatch, path: "/apps/{app}", tag: "Apps",
		summary: "Change the limits of an app",
		description: "A JSON merge patch (RFC 7396): fields that are absent stay, null lifts the limit. What runs " +
			"goes on; " +
			"from then on nothing starts beyond the limits. If-Match is required.",
		body: reflect.TypeFor[limitsInput]()}, s.editApp)
	register(s, operation{id: "delete-app", method: http.MethodDelete, path: "/apps/{app}", tag: "Apps",
		summary: "Delete an app",
		description: "Refused while it has jobs, or executors that are alive. Its secret is void from then on; the " +
			"history of its jobs stays, and its name is free. If-Match is required."}, s.deleteApp)
	s.routeQueue()
	s.routeAppExecutors()
}

type appInput struct {
	Name   *string `json:"name,omitempty" required:"true" doc:"The app's name" example:"billing"`
	Secret *string `json:"secret,omitempty" minLength:"32" pattern:"^[!-~]*$" writeOnly:"true" doc:"What its executors authenticate with, in printable ASCII without spaces; made up if absent"`
}

type appBody struct {
	Name         string  `json:"name" example:"billing"`
	MaxRunning   int     `json:"max_running" doc:"Attempts that may run at a time, over all servers; 0: no limit" example:"10"`
	MaxPerSecond float64 `json:"max_per_second" doc:"Attempts that may start in a second, after a burst of one second's worth; 0: no limit" example:"2.5"`
	Version      int     `json:"version" doc:"Grows with each change; the ETag is this number in quotes" example:"3"`
	CreatedAt    instant `json:"created_at"`
}

func bodyOfApp(a firjob.App) appBody {
	return appBody{Name: a.Name, MaxRunning: a.MaxRunning, MaxPerSecond: a.MaxPerSecond, Version: a.Version,
		CreatedAt: instant(a.CreatedAt)}
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
	f.also(naming.App(name))
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

type appQuery struct {
	Query     string `query:"q" doc:"Apps with this in their name, case ignored"`
	PageSize  int    `query:"page_size" minimum:"1" maximum:"500" default:"50"`
	PageToken string `query:"page_token" doc:"next_page_token of the page before"`
}

func (s *server) listApps(ctx context.Context, in *appQuery) (*answer[list[appBody]], error) {
	after, err := nameOfToken(in.PageToken)
	if err != nil {
		return nil, err
	}
	apps, next, err := s.Store.Apps(ctx, ports.AppFilter{Query: in.Query, After: after, PageSize: in.PageSize})
	if err != nil {
		return nil, fmt.Errorf("list apps: %w", err)
	}
	out := &answer[list[appBody]]{list[appBody]{Items: []appBody{}, NextPageToken: tokenOfName(next)}}
	for _, a := range apps {
		out.Body.Items = append(out.Body.Items, bodyOfApp(a))
	}
	return out, nil
}

type appPath struct {
	App string `path:"app" doc:"The app's name" example:"billing"`
}

func (s *server) getApp(ctx context.Context, in *appPath) (*tagged[appBody], error) {
	app, err := s.Store.App(ctx, in.App)
	if err != nil {
		return nil, fmt.Errorf("read app %q: %w", in.App, err)
	}
	return &tagged[appBody]{ETag: entityTag(app.Version), Body: bodyOfApp(app)}, nil
}

type limitsInput struct {
	MaxRunning   *int     `json:"max_running,omitempty" minimum:"0" maximum:"100000" doc:"Attempts that may run at a time, over all servers; 0: no limit" example:"10"`
	MaxPerSecond *float64 `json:"max_per_second,omitempty" minimum:"0" maximum:"1000000" doc:"Attempts that may start in a second, after a burst of one second's worth; 0: no limit" example:"2.5"`
}

type appRequest struct {
	App     string `path:"app" doc:"The app's name" example:"billing"`
	IfMatch string `header:"If-Match" doc:"The ETag of what is to be changed, or *" example:"\"3\""`
	RawBody []byte
}

func (s *server) editApp(ctx context.Context, in *appRequest) (*tagged[appBody], error) {
	patch, err := parseBody(in.RawBody)
	if err != nil {
		return nil, err
	}
	app, err := s.Store.UpdateApp(ctx, in.App, func(app *firjob.App) error {
		if err := checkMatch(in.IfMatch, app.Version); err != nil {
			return err
		}
		return s.patchLimits(&app.AppLimits, patch)
	})
	if err != nil {
		return nil, fmt.Errorf("change app %q: %w", in.App, err)
	}
	return &tagged[appBody]{ETag: entityTag(app.Version), Body: bodyOfApp(app)}, nil
}

type appDelete struct {
	App     string `path:"app" doc:"The app's name" example:"billing"`
	IfMatch string `header:"If-Match" doc:"The ETag of what is to be changed, or *" example:"\"3\""`
}

func (s *server) deleteApp(ctx context.Context, in *appDelete) (*struct{}, error) {
	if _, err := s.Store.App(ctx, in.App); err != nil {
		return nil, fmt.Errorf("read app %q: %w", in.App, err)
	}
	executors, err := s.Scheduler.Executors(ctx, in.App, ports.ExecutorFilter{})
	if err != nil {
		return nil, fmt.Errorf("look for executors of app %q: %w", in.App, err)
	}
	live := 0
	for _, e := range executors {
		if e.Live {
			live++
		}
	}
	if live > 0 {
		return nil, firjob.Errorf(firjob.CodeConflict, "app %q still has live executors (%d): stop them first",
			in.App, live)
	}
	err = s.Store.DeleteApp(ctx, in.App, func(a firjob.App) error { return checkMatch(in.IfMatch, a.Version) })
	if err != nil {
		return nil, fmt.Errorf("delete app %q: %w", in.App, err)
	}
	return nil, nil
}

// patchLimits applies a merge patch.
func (s *server) patchLimits(limits *firjob.AppLimits, patch json.RawMessage) error {
	f := &faults{}
	in := decode[limitsInput](s, patch, f)
	if fields, ok := numbersKept(patch).(map[string]any); ok {
		if v, named := fields["max_running"]; named && v == nil {
			limits.MaxRunning = 0
		}
		if v, named := fields["max_per_second"]; named && v == nil {
			limits.MaxPerSecond = 0
		}
	}
	put(&limits.MaxRunning, in.MaxRunning)
	put(&limits.MaxPerSecond, in.MaxPerSecond)
	f.also(validate.AppLimits(*limits))
	return f.err()
}
