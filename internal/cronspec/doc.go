// Package cronspec turns cron text into instants. It knows the dialects, the
// zones, and what to do with local times that a change of the clocks leaves out
// or brings twice.
//
// A pattern speaks of the wall clock alone, a clock that never jumps. Real time
// is cut into the periods in which a zone keeps one offset, and each period
// shows its own stretch of the wall clock:
//
//	real time    ──────── standard ────────┤├───── daylight saving ─────┤├── standard ──
//	wall clock   … 01:58 01:59 │           03:00 03:01 … 01:58 01:59    │ 01:00 01:01 …
//	                           └─ gap: 02:00 to 03:00 never shown       └─ shown again
//
// [Spec.Next] asks the pattern for its next match on the wall clock and walks
// the periods until one of them shows it. A pattern that matches in every hour
// ("fires each hour") needs no more than that: it fires at each real instant
// whose wall time fits. Any other pattern means a time of day ("fires at
// 02:30"), and there the user's [firjob.Gap] and [firjob.OverlapHour] decide.
//
// A dialect is a type behind the interface pattern. Both read their fields here;
// robfig/cron finds the matches of the unix dialect, and the times of day of the
// quartz dialect, whose days this package finds itself.
package cronspec
