// Package httpapi is the HTTP surface: the API for people and programs under
// /api/v1, the surface for executors under /executor/v1, health and metrics.
//
//	/api/v1        bearer token    huma on chi    jobs, executions, apps, stats
//	/executor/v1   app:secret      plain chi      register, heartbeat, callback, leave
//	/livez /readyz /version /docs /openapi.json   open
//	/metrics       bearer token, unless Options.OpenMetrics
//
// A request is judged in whole before anything is stored: every fault of shape
// and of meaning is listed in one answer (body.go). What passes goes to the
// [Store] first and to the [Scheduler] after the commit, so that the queue
// never names what does not exist; should the process die in between, the
// scheduler's scan finds what it was not told.
//
// Every error is application/problem+json, made in one place (problem.go).
package httpapi
