// Package chaos does bad things to a cluster of real processes under load and
// writes down what it saw, for package checker to judge.
//
//	            ┌──── tap ────┐            a tap sees and disturbs HTTP
//	executor ◀──┤             ├──▶ server  a link disturbs a TCP connection
//	            └─────────────┘      │ link
//	                          Postgres, Redis
//
// Everything that is random comes from one seed, so that the same seed gives the
// same schedule of faults.
package chaos
