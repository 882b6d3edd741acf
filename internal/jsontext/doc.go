// Package jsontext measures and checks JSON that users give: params, results and the
// attributes of log lines. A limit counts the bytes of the shortest spelling, so that
// spaces and escapes make no difference.
package jsontext
