package chaos

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// folder holds what a run leaves behind.
//
//	schedule.txt   seed, load and faults, written before the run
//	history.jsonl  what was seen, as package checker reads it
//	dump.json      what the stores held in the end
//	report.txt     the verdict
//	timeline.svg   the same as a picture
//	zoneinfo/      the time zone of the run
//	logs/          what each process said, by its name
type folder struct {
	dir string

	mu   sync.Mutex
	logs map[string]*os.File
	err  error // the first of any log
}

// openFolder makes the folder. One that holds a run already is an error.
func openFolder(dir string) (*folder, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	f := &folder{dir: dir, logs: map[string]*os.File{}}
	if _, err := os.Stat(f.path("history.jsonl")); err == nil {
		return nil, fmt.Errorf("%s holds another run already", dir)
	}
	return f, os.MkdirAll(f.path("logs"), 0o755)
}

func (f *folder) path(name string) string { return filepath.Join(f.dir, name) }

// stampLayout is how lines of logs begin.
const stampLayout = "15:04:05.000"

// log appends a line to the log of a process. It is safe for concurrent use.
func (f *folder) log(process, line string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	file, err := f.logs[process], error(nil)
	if file == nil {
		if file, err = os.Create(f.path(filepath.Join("logs", process+".log"))); err == nil {
			f.logs[process] = file
		}
	}
	if err == nil {
		_, err = fmt.Fprintf(file, "%s %s\n", time.Now().UTC().Format(stampLayout), line)
	}
	if f.err == nil {
		f.err = err
	}
}

// writer appends what is written to the log of a process.
func (f *folder) writer(process string) io.Writer { return logWriter{f, process} }

type logWriter struct {
	folder  *folder
	process string
}

// Write takes whole lines, as a log handler writes them.
func (w logWriter) Write(p []byte) (int, error) {
	w.folder.log(w.process, string(p[:max(0, len(p)-1)]))
	return len(p), nil
}

// create writes a file by fn.
func (f *folder) create(name string, fn func(io.Writer) error) error {
	file, err := os.Create(f.path(name))
	if err != nil {
		return err
	}
	return errors.Join(fn(file), file.Close())
}

func (f *folder) createJSON(name string, value any) error {
	return f.create(name, func(w io.Writer) error { return json.NewEncoder(w).Encode(value) })
}

// close closes the logs and returns the first error of writing them.
func (f *folder) close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	err := f.err
	for _, file := range f.logs {
		err = errors.Join(err, file.Close())
	}
	return err
}
