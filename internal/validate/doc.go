// Package validate finds the faults of what people ask for: jobs, schedules,
// calendars, limits and backfills. Each function returns every fault at once, with the
// path of its field in the JSON of the API, and nil if there is none.
package validate
