// Package timetable finds the fires of schedules: the next one after an instant, those
// of a span, and why an instant is none. It combines the rules of cron, "every", "at"
// and "delay" with calendars, windows and jitter.
//
// Instants are UTC, in whole milliseconds. A [Timetable] does not change and may be
// used by any number of goroutines. Of the same schedule, anchor, seed and calendars
// each server finds the same fires.
package timetable
