// Package naming says which names of apps, addresses of executors, labels and texts of
// one line are accepted. Each function returns what is wrong, nil if nothing is.
package naming
