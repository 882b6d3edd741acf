package worker

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"github.com/firjob/firjob"
)

// segmentSize is the usual limit of a segment, in bytes.
const segmentSize = 1 << 20

// spool keeps results on disk until they are acknowledged: lines of JSON in
// segments that are written one after the other. A segment whose results are
// all acknowledged is removed, or cut to nothing if it is the one being
// written, so the folder holds little more than what is outstanding, also under
// a load that never pauses. The folder's lock keeps other processes out.
//
// It is used by one goroutine at a time.
type spool struct {
	dir     string
	lock    *os.File
	log     *slog.Logger
	current *segment // nil: none is open
	last    int      // number of the latest segment
	limit   int64    // size from which on a segment takes no more
}

type segment struct {
	path string
	file *os.File
	size int64
	live int // results not acknowledged
}

// openSpool opens the spool in dir, which it creates if need be, and returns
// the results that an earlier process has left there. An error that is
// errLocked means that another process uses it.
func openSpool(dir string, log *slog.Logger) (*spool, []*item, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, fmt.Errorf("create the spool: %w", err)
	}
	lock, err := lockFile(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, nil, fmt.Errorf("lock the spool %s: %w", dir, err)
	}
	s := &spool{dir: dir, lock: lock, log: log, limit: segmentSize}
	left, err := s.readBack()
	if err == nil {
		err = s.roll() // a folder that cannot be written shows now
	}
	if err != nil {
		return nil, nil, errors.Join(err, unlockFile(lock))
	}
	return s, left, nil
}

func (s *spool) readBack() ([]*item, error) {
	paths, err := filepath.Glob(filepath.Join(s.dir, "*.jsonl"))
	if err != nil {
		return nil, fmt.Errorf("list the spool: %w", err)
	}
	slices.Sort(paths) // numbers of one width: oldest first
	var left []*item
	for _, path := range paths {
		if _, err := fmt.Sscanf(filepath.Base(path), "%d.jsonl", &s.last); err != nil {
			return nil, fmt.Errorf("%s does not belong into a spool", path)
		}
		items, err := s.readSegment(path)
		if err != nil {
			return nil, err
		}
		left = append(left, items...)
	}
	return left, nil
}

func (s *spool) readSegment(path string) ([]*item, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the spool: %w", err)
	}
	g := &segment{path: path, size: int64(len(text))}
	var items []*item
	for line := range bytes.Lines(text) {
		var r firjob.Result
		if !bytes.HasSuffix(line, []byte("\n")) || json.Unmarshal(line, &r) != nil {
			s.log.Warn("a line of the spool is torn; the server has that attempt's lease", "file", path, "bytes",
				len(line))
			continue
		}
		if at, n := bytes.Index(line, r.Result), len(r.Result); n > 0 && at >= 0 {
			r.Result = json.RawMessage(line[at : at+n : at+n]) // the line holds it: one copy is enough
		}
		items = append(items, &item{ref: firjob.AttemptRef{ID: r.ID, Token: r.Token},
			line: bytes.TrimSuffix(line, []byte("\n")), result: r, segment: g})
	}
	g.live = len(items)
	if g.live == 0 {
		return nil, g.remove()
	}
	return items, nil
}

// append writes items by one call, so that a process that dies leaves all of
// them or a torn end. On error none of them is in the spool.
func (s *spool) append(items []*item) error {
	if s.current == nil || s.current.size >= s.limit {
		if err := s.roll(); err != nil {
			return err
		}
	}
	var text []byte
	for _, it := range items {
		text = append(append(text, it.line...), '\n')
	}
	g := s.current
	if _, err := g.file.Write(text); err != nil {
		return errors.Join(fmt.Errorf("write to the spool: %w", err), s.mend())
	}
	g.size += int64(len(text))
	g.live += len(items)
	for _, it := range items {
		it.segment = g
	}
	return nil
}

// mend cuts off what a failed write has left, or gives the segment up: the next
// line must not be glued to half a one.
func (s *spool) mend() error {
	g := s.current
	if err := g.file.Truncate(g.size); err != nil {
		return errors.Join(err, s.retire())
	}
	return nil
}

// done lets go of acknowledged results.
func (s *spool) done(items []*item) error {
	var errs []error
	for _, it := range items {
		g := it.segment
		if g == nil {
			continue
		}
		it.segment = nil
		if g.live--; g.live > 0 {
			continue
		}
		switch {
		case g != s.current:
			errs = append(errs, g.remove())
		case g.size >= s.limit:
			errs = append(errs, g.empty())
		}
	}
	return errors.Join(errs...)
}

// roll begins a new segment.
func (s *spool) roll() error {
	if err := s.retire(); err != nil {
		s.log.Warn("a segment of the spool was not closed", "error", err)
	}
	s.last++
	path := filepath.Join(s.dir, fmt.Sprintf("%010d.jsonl", s.last))
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("begin a segment of the spool: %w", err)
	}
	s.current = &segment{path: path, file: file}
	return nil
}

// retire closes the current segment, and removes it if nothing lives in it.
func (s *spool) retire() error {
	g := s.current
	if g == nil {
		return nil
	}
	s.current = nil
	err := g.file.Close()
	if g.live == 0 {
		err = errors.Join(err, g.remove())
	}
	return err
}

func (s *spool) close() error { return errors.Join(s.retire(), unlockFile(s.lock)) }

func (g *segment) remove() error {
	if err := os.Remove(g.path); err != nil {
		return fmt.Errorf("remove a segment of the spool: %w", err)
	}
	return nil
}

func (g *segment) empty() error {
	if err := g.file.Truncate(0); err != nil {
		return fmt.Errorf("empty a segment of the spool: %w", err)
	}
	g.size = 0
	return nil
}
