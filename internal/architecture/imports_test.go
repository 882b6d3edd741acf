package architecture_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const module = "github.com/firjob/firjob"

// root stands for the module's own package in the table below.
const root = "."

// mayImport is the house: each folder, and which others it may import. A folder
// that is not listed belongs to the nearest listed one above it, inside of
// which everything may import everything. To add a row is a decision about the
// design, to be made with open eyes.
var mayImport = map[string][]string{
	root:                             {},
	"scheduler":                      {root, "internal/ports", "internal/calltemplate", "internal/failpoint", "internal/groupcommit", "internal/jsontext", "internal/timetable"},
	"scheduler/dispatch":             {root, "internal/ports", "internal/codec"},
	"worker":                         {root, "internal/clockfault", "internal/codec", "internal/failpoint", "internal/jsontext", "internal/naming"},
	"redisq":                         {root, "internal/ports", "lua"},
	"lua":                            {},
	"storage":                        {root, "storage/pg", "storage/scan", "storage/flow", "storage/records", "storage/inspect"},
	"storage/pg":                     {root, "internal/ports", "internal/jsontext"},
	"storage/scan":                   {root, "internal/ports", "storage/pg"},
	"storage/flow":                   {root, "internal/failpoint", "internal/ports", "internal/timetable", "storage/pg", "storage/scan"},
	"storage/records":                {root, "internal/groupcommit", "internal/jsontext", "internal/ports", "internal/timetable", "internal/validate", "storage/pg", "storage/scan", "storage/flow"},
	"storage/inspect":                {root, "internal/ports", "internal/timetable", "storage/pg", "storage/scan", "storage/flow"},
	"httpapi":                        {root, "internal/ports", "internal/codec", "internal/jsontext", "internal/naming", "internal/timetable", "internal/tzdata", "internal/validate"},
	"internal/architecture":          {},
	"internal/codec":                 {root},
	"internal/calltemplate":          {root},
	"internal/clockfault":            {},
	"internal/cronspec":              {root, "internal/tzdata"},
	"internal/jsontext":              {root},
	"internal/naming":                {root},
	"internal/ports":                 {root},
	"internal/timetable":             {root, "internal/ports", "internal/cronspec"},
	"internal/validate":              {root, "internal/ports", "internal/calltemplate", "internal/cronspec", "internal/jsontext", "internal/naming", "internal/timetable"},
	"internal/tzdata":                {},
	"internal/failpoint":             {}, // anybody who has a step that can be interrupted
	"internal/groupcommit":           {root},
	"internal/localstack":            {},
	"internal/localstack/stacktest":  {"internal/localstack"},
	"lab/capacity":                   {root},
	"lab/checker":                    {root, "internal/ports"},
	"internal/cluster":               {root, "internal/ports", "internal/localstack"},
	"lab/chaos":                      {root, "internal/ports", "storage", "lab/checker", "lab/labdb", "internal/cluster", "internal/codec", "internal/localstack", "internal/failpoint", "lab/mutants"},
	"lab/labdb":                      {root, "internal/ports", "internal/timetable", "storage", "storage/pg", "storage/scan"},
	"lab/mutants":                    {},
	"lab/bench":                      {root, "internal/ports", "redisq", "storage", "lab/checker", "lab/labdb", "internal/cluster", "internal/localstack"},
	"internal/app":                   {root, "internal/ports", "scheduler", "scheduler/dispatch", "redisq", "storage", "storage/inspect", "httpapi", "internal/localstack", "internal/naming"},
	"examples":                       {root, "worker"},
	"cmd/firjob":                     {root, "internal/failpoint", "cmd/firjob/internal/apps", "cmd/firjob/internal/build", "cmd/firjob/internal/client", "cmd/firjob/internal/console", "cmd/firjob/internal/dev", "cmd/firjob/internal/doctor", "cmd/firjob/internal/executions", "cmd/firjob/internal/instant", "cmd/firjob/internal/jobs", "cmd/firjob/internal/processes", "cmd/firjob/internal/terminal"},
	"cmd/firjob/internal/instant":    {root},
	"cmd/firjob/internal/pick":       {root},
	"cmd/firjob/internal/table":      {},
	"cmd/firjob/internal/terminal":   {},
	"cmd/firjob/internal/console":    {root, "cmd/firjob/internal/instant", "cmd/firjob/internal/table"},
	"cmd/firjob/internal/client":     {root, "cmd/firjob/internal/console", "cmd/firjob/internal/pick"},
	"cmd/firjob/internal/view":       {root, "cmd/firjob/internal/client", "cmd/firjob/internal/console", "cmd/firjob/internal/instant", "cmd/firjob/internal/table"},
	"cmd/firjob/internal/build":      {"internal/tzdata", "cmd/firjob/internal/client", "cmd/firjob/internal/console"},
	"cmd/firjob/internal/settings":   {},
	"cmd/firjob/internal/jobs":       {root, "internal/cronspec", "internal/ports", "internal/timetable", "cmd/firjob/internal/client", "cmd/firjob/internal/console", "cmd/firjob/internal/instant", "cmd/firjob/internal/table", "cmd/firjob/internal/view"},
	"cmd/firjob/internal/executions": {root, "cmd/firjob/internal/client", "cmd/firjob/internal/console", "cmd/firjob/internal/instant", "cmd/firjob/internal/table", "cmd/firjob/internal/view"},
	"cmd/firjob/internal/apps":       {root, "cmd/firjob/internal/client", "cmd/firjob/internal/console", "cmd/firjob/internal/instant", "cmd/firjob/internal/table", "cmd/firjob/internal/view"},
	"cmd/firjob/internal/doctor":     {root, "internal/app", "cmd/firjob/internal/build", "cmd/firjob/internal/client", "cmd/firjob/internal/console", "cmd/firjob/internal/settings"},
	"cmd/firjob/internal/dev":        {root, "internal/cluster", "internal/localstack", "cmd/firjob/internal/client", "cmd/firjob/internal/console", "cmd/firjob/internal/settings"},
	"cmd/firjob/internal/processes":  {"internal/app", "internal/samples", "worker", "cmd/firjob/internal/build", "cmd/firjob/internal/console", "cmd/firjob/internal/settings"},
	"cmd/firjob-lab":                 {root, "internal/clockfault", "internal/ports", "internal/app", "internal/failpoint", "internal/samples", "worker", "lab/bench", "lab/capacity", "lab/chaos", "lab/checker"},
	"internal/samples":               {root, "worker"},
}

// testsMayImport is what every folder's tests may import beyond that.
var testsMayImport = []string{"internal/localstack", "internal/localstack/stacktest", "internal/cluster"}

// testsOf is what the tests of one folder may import beyond that: those of whole
// clusters let the checker read what executors saw, and cut connections; those of
// rules take what passes the checks of input.
var testsOf = map[string][]string{
	"internal/cluster":      {"lab/chaos", "lab/checker"},
	"internal/calltemplate": {"internal/validate"},
	"cmd/firjob":            {"internal/app", "internal/tzdata"},
	"storage":               {"internal/ports", "internal/jsontext", "internal/timetable", "internal/validate"},
	"internal/naming":       {"internal/validate"},
	"internal/timetable":    {"internal/validate"},
}

// livesIn says which folders, with those below them, may import a library. Tests may
// import any.
var livesIn = map[string][]string{
	// stacktest clones databases, chaos takes locks and connections, labdb seeds and reads
	"github.com/jackc/pgx":          {"storage", "internal/localstack/stacktest", "lab/chaos", "lab/labdb"},
	"github.com/pressly/goose":      {"storage", "lab/labdb"},
	"github.com/redis/go-redis":     {"redisq"},
	"github.com/go-chi/chi":         {"httpapi"},
	"github.com/danielgtaylor/huma": {"httpapi"},
	"github.com/fxamacker/cbor":     {"internal/codec"},
	"github.com/sony/gobreaker":     {"scheduler/dispatch"},
	"github.com/robfig/cron":        {"internal/cronspec"},
	"github.com/lmittmann/tint":     {"internal/app"},
	"github.com/alicebob/miniredis": {"internal/localstack"},
	"github.com/alecthomas/kong":    {"cmd/firjob", "cmd/firjob-lab"},
}

// goPackage is what go list tells of a package.
type goPackage struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
}

func TestRoomsImportOnlyWhatTheyMay(t *testing.T) {
	t.Parallel()
	packages := listPackages(t)
	if len(packages) < 2 {
		t.Fatalf("go list found %d packages, want the whole module", len(packages))
	}
	for _, p := range packages {
		for _, fault := range faults(p) {
			t.Error(fault)
		}
	}
}

// An executor links what its process needs, neither a driver of the server's nor the
// rules of schedules with their time zones.
func TestWorkerLinksNoDriver(t *testing.T) {
	t.Parallel()
	deps := strings.Fields(string(golist(t, "-deps", module+"/worker")))
	for _, library := range []string{"github.com/jackc/pgx", "github.com/redis/go-redis", "github.com/danielgtaylor/huma",
		"github.com/go-chi/chi", "github.com/sony/gobreaker", module + "/internal/cronspec", module + "/internal/tzdata"} {
		for _, dep := range deps {
			if within(dep, library) {
				t.Errorf("worker → %s: an importer of worker must not link it; \"go list -deps ./worker\" has the way", dep)
			}
		}
	}
}

// The shipped program links nothing that measures or harms, and no library of it.
func TestTheProductLinksNoLab(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"cmd/firjob", "worker"} {
		for dep := range strings.FieldsSeq(string(golist(t, "-deps", module+"/"+program))) {
			if within(dep, module+"/lab") || within(dep, module+"/cmd/firjob-lab") {
				t.Errorf("%s → %s: the product must not link it; \"go list -deps ./%s\" has the way", program, dep, program)
			}
		}
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		in   goPackage
		want []string
	}{
		"the root":       {in: goPackage{ImportPath: module, Imports: []string{"fmt"}}},
		"a room":         {in: goPackage{ImportPath: module + "/storage", Imports: []string{module, "github.com/jackc/pgx/v5/pgxpool"}}},
		"inside a room":  {in: goPackage{ImportPath: module + "/storage", Imports: []string{module + "/storage/migrations"}}},
		"tests' helpers": {in: goPackage{ImportPath: module + "/lua", XTestImports: []string{module + "/lua", module + "/internal/localstack/stacktest", "github.com/redis/go-redis/v9"}}},
		"a sibling": {in: goPackage{ImportPath: module + "/redisq", Imports: []string{module + "/storage"}},
			want: []string{"redisq → storage: redisq may import only [. internal/ports lua]"}},
		"a sibling's folder": {in: goPackage{ImportPath: module + "/redisq", Imports: []string{module + "/scheduler/dispatch"}},
			want: []string{"redisq → scheduler/dispatch: redisq may import only [. internal/ports lua]"}},
		"a part's sibling": {in: goPackage{ImportPath: module + "/redisq/part", Imports: []string{module + "/storage"}},
			want: []string{"redisq/part → storage: redisq may import only [. internal/ports lua]"}},
		"a sibling in tests": {in: goPackage{ImportPath: module + "/redisq", TestImports: []string{module + "/storage"}},
			want: []string{"redisq → storage (test): redisq may import only [. internal/ports lua]"}},
		"a library of another room": {in: goPackage{ImportPath: module + "/scheduler", Imports: []string{"github.com/redis/go-redis/v9"}},
			want: []string{"scheduler → github.com/redis/go-redis/v9: that library lives in [redisq]"}},
		"a new folder": {in: goPackage{ImportPath: module + "/util"},
			want: []string{"util: the folder has no row in the table of this test"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, faults(tt.in)); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}

// faults names each edge of p that the tables do not allow.
func faults(p goPackage) []string {
	from := folder(p.ImportPath)
	room, ok := roomOf(from)
	if !ok {
		return []string{from + ": the folder has no row in the table of this test"}
	}
	var list []string
	for _, path := range p.Imports {
		if within(path, module) && !allowed(room, path, mayImport[room]) {
			list = append(list, fmt.Sprintf("%s → %s: %s may import only %v", from, folder(path), room, mayImport[room]))
		}
		for library, rooms := range livesIn {
			if within(path, library) && !slices.ContainsFunc(rooms, func(r string) bool { return within(from, r) }) {
				list = append(list, fmt.Sprintf("%s → %s: that library lives in %v", from, path, rooms))
			}
		}
	}
	for _, path := range slices.Concat(p.TestImports, p.XTestImports) {
		if within(path, module) && !allowed(room, path, slices.Concat(mayImport[room], testsMayImport, testsOf[room])) {
			list = append(list, fmt.Sprintf("%s → %s (test): %s may import only %v", from, folder(path), room, mayImport[room]))
		}
	}
	return list
}

func allowed(room, path string, rooms []string) bool {
	to, ok := roomOf(folder(path))
	return ok && (to == room || slices.Contains(rooms, to))
}

// folder returns the path of a package of the module below its root.
func folder(path string) string {
	if path == module {
		return root
	}
	return strings.TrimPrefix(path, module+"/")
}

// roomOf returns the nearest folder at or above f that the table lists.
func roomOf(f string) (string, bool) {
	for {
		if _, ok := mayImport[f]; ok {
			return f, true
		}
		i := strings.LastIndexByte(f, '/')
		if i < 0 {
			return "", false
		}
		f = f[:i]
	}
}

func within(path, prefix string) bool { return path == prefix || strings.HasPrefix(path, prefix+"/") }

func listPackages(t *testing.T) []goPackage {
	t.Helper()
	out := json.NewDecoder(bytes.NewReader(golist(t, "-e", "-json=ImportPath,Imports,TestImports,XTestImports", module+"/...")))
	var packages []goPackage
	for {
		var p goPackage
		err := out.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages
		}
		if err != nil {
			t.Fatalf("reading the output of go list: %v", err)
		}
		packages = append(packages, p)
	}
}

// golist runs go list. It opens the folders of the module first, so that go
// test, which sees what a test opens but not what its children do, runs this one
// again when a file has changed.
func golist(t *testing.T, args ...string) []byte {
	t.Helper()
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && entry.Name() == ".git" {
			return fs.SkipDir
		}
		return err
	})
	if err != nil {
		t.Fatalf("reading the folders of the module: %v", err)
	}
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list"}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %v: %v\n%s", args, err, stderr.String())
	}
	return out
}
