// Package ports holds the values that cross the ports between the scheduler, the HTTP
// API and the stores: what a claim, a plan or a result asks for and answers, and what
// lists select and return. It has no rules of its own. Users of the SDK need none of
// it.
package ports
