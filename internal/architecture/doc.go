// Package architecture holds no code. Its test runs the rule of the house: which
// folder may import which, and which library lives in which room.
package architecture
