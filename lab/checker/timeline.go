package checker

import (
	"cmp"
	"fmt"
	"html"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/firjob/firjob"
)

// The picture: a lane a job, a tick for each fire that had to be, a dot for each
// handler's start, and the faults as shaded columns. What was late lies to the
// right of its tick; what violated an invariant is red.
const (
	laneHeight  = 14
	labelWidth  = 120
	pixelsASec  = 12.0
	maxLanes    = 60
	headerSpace = 40
)

// Timeline draws the history of a report, and what was found in it, as an SVG. Jobs beyond the
// first 60 are left out, and the picture says so.
func Timeline(w io.Writer, r *Report) error {
	c := r.check
	p := &picture{check: c, out: w, bad: map[firjob.ExecutionID]bool{}}
	for _, v := range r.Violations {
		p.bad[v.Execution] = true
	}
	jobs := slices.Sorted(maps.Keys(c.plans))
	p.open(min(len(jobs), maxLanes))
	p.shade(min(len(jobs), maxLanes))
	for lane, job := range jobs[:min(len(jobs), maxLanes)] {
		p.lane(lane, job)
	}
	if left := len(jobs) - maxLanes; left > 0 {
		p.print(`<text x="4" y="14">%d more jobs are not drawn</text>`, left)
	}
	p.print("</svg>")
	return p.err
}

// picture is an SVG on its way.
type picture struct {
	*check
	out io.Writer
	bad map[firjob.ExecutionID]bool
	err error // the first
}

func (p *picture) print(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.out, format+"\n", args...)
	}
}

func (p *picture) x(at time.Time) float64 {
	return labelWidth + at.Sub(p.origin.Wall).Seconds()*pixelsASec
}

func (p *picture) open(lanes int) {
	width, height := p.x(p.end)+20, headerSpace+lanes*laneHeight+20
	p.print(`<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%d" viewBox="0 0 %.0f %d" `+
		`font-family="monospace" font-size="10">`,
		width, height, width, height)
	p.print(`<rect width="100%%" height="100%%" fill="#fff"/>`)
	for at := p.origin.Wall.Truncate(10 * time.Second).Add(10 * time.Second); at.Before(p.end); at = at.Add(
		10 * time.Second) {
		p.print(`<path d="M%.1f %d V%d" stroke="#ddd"/><text x="%.1f" y="%d" fill="#666">%s</text>`,
			p.x(at), headerSpace-8, height, p.x(at)+2, headerSpace-10, at.UTC().Format("15:04:05"))
	}
}

func (p *picture) shade(lanes int) {
	slices.SortFunc(p.faults, func(a,
		b window) int {
		return cmp.Or(a.from.Compare(b.from), cmp.Compare(a.class, b.class))
	})
	for i, f := range p.faults {
		name := html.EscapeString(f.class + " " + f.target)
		p.print(`<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="#f5a623" fill-opacity="0.25">`+
			`<title>%s, %v</title></rect>`,
			p.x(f.from), headerSpace, max(1, p.x(f.until)-p.x(f.from)), lanes*laneHeight, name,
			f.until.Sub(f.from).Round(time.Millisecond))
		p.print(`<text x="%.1f" y="%d" fill="#8a5a00">%s</text>`, p.x(f.from), 10+i%2*10, name)
	}
}

func (p *picture) lane(lane int, job firjob.JobID) {
	y := headerSpace + lane*laneHeight + laneHeight/2
	p.print(`<text x="4" y="%d">job %d</text>`, y+3, job)
	asked := p.plans[job].targets(p.origin.Wall, p.end, p.Lead+p.OnTime)
	for _, at := range slices.SortedFunc(maps.Keys(asked), time.Time.Compare) {
		colour := map[demand]string{must: "#888", may: "#ccc"}[asked[at]]
		if asked[at] != forbidden {
			p.print(`<path d="M%.1f %d v8" stroke="%s"/>`, p.x(at), y-4, colour)
		}
	}
	for _, r := range p.byJob[job] {
		p.starts(y, r)
	}
}

func (p *picture) starts(y int, r Row) {
	colour := "#2a7"
	if p.bad[r.ID] {
		colour = "#d22"
	}
	if len(p.runs[r.ID]) == 0 && p.bad[r.ID] {
		p.print(`<path d="M%.1f %d l6 6 m0 -6 l-6 6" stroke="%s"><title>%s %s (%s)</title></path>`,
			p.x(r.ID.ScheduledAt())-3, y-3, colour, r.ID, r.State, html.EscapeString(r.Reason))
	}
	for _, run := range p.runs[r.ID] {
		at := p.wall(run.begin)
		p.print(`<circle cx="%.1f" cy="%d" r="2.5" fill="%s"><title>%s attempt %d token %d, %v late</title></circle>`,
			p.x(at), y, colour, r.ID, run.Attempt, run.Token, at.Sub(r.ID.ScheduledAt()).Round(time.Millisecond))
	}
}
