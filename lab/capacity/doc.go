// Package capacity is the cost model: what a load needs of Postgres, Redis,
// servers and executors, by arithmetic from what one execution was measured to
// cost. It reads nothing but a measurement and writes nothing.
//
//	load × cost of one execution ÷ what may be used of a machine = machines
//
// Every line of a plan names the formula that it comes from. docs/scaling.md says
// what follows from them.
package capacity
