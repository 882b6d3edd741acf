// Package scan reads rows of jobs and executions: their columns, what the columns
// mean, and what belongs to a row and lies elsewhere, such as calendars and shards.
package scan
