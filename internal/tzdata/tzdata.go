// Package tzdata holds the time zone database of the program. Package time
// prefers the files of the machine, which differ from machine to machine, so
// that two servers could plan different instants for one schedule. This package
// reads the embedded database alone.
//
// After an upgrade of Go, "go generate ./internal/tzdata" takes over its
// database.
package tzdata

import (
	"archive/zip"
	_ "embed" // for the archive
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

//go:generate go run gen.go

//go:embed zoneinfo.zip
var archive string

// placeholder is the zone of a machine that nobody has set up. Its clock is no
// place's clock.
const placeholder = "Factory"

// files are the zones of the archive by name. An archive that cannot be read is
// a faulty build, so files panics.
var files = sync.OnceValue(func() map[string]*zip.File {
	r, err := zip.NewReader(strings.NewReader(archive), int64(len(archive)))
	if err != nil {
		panic(fmt.Errorf("read the embedded time zones: %w", err))
	}
	zones := make(map[string]*zip.File, len(r.File))
	for _, f := range r.File {
		if !f.FileInfo().IsDir() && f.Name != placeholder {
			zones[f.Name] = f
		}
	}
	return zones
})

// Names returns the names of all zones in order.
func Names() []string { return slices.Sorted(maps.Keys(files())) }

// Load returns the zone of exactly that name, false if the database has none.
// Load reads the zone anew at each call.
func Load(name string) (*time.Location, bool) {
	f, ok := files()[name]
	if !ok {
		return further(name)
	}
	zone, err := read(f)
	if err != nil {
		panic(fmt.Errorf("read the embedded time zone %q: %w", name, err))
	}
	return zone, true
}

func read(f *zip.File) (*time.Location, error) {
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	return time.LoadLocationFromTZData(f.Name, data)
}
