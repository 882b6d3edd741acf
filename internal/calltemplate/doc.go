// Package calltemplate fills in the variables of HTTP jobs: ${id}, ${params.region} and
// the others of docs/http-jobs.md. A value is escaped for the place in which it stands:
// a path, a query, a header or a string of a JSON body.
package calltemplate
