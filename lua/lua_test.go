package lua_test

import (
	"crypto/sha1"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob/internal/localstack/stacktest"
	"github.com/firjob/firjob/lua"
)

func scripts() []lua.Script {
	all := reflect.ValueOf(lua.All())
	list := make([]lua.Script, all.NumField())
	for i := range list {
		list[i] = all.Field(i).Interface().(lua.Script)
	}
	return list
}

func TestEveryFileIsAScript(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.lua")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range scripts() {
		names = append(names, s.Name+".lua")
		data, err := os.ReadFile(s.Name + ".lua")
		if err != nil {
			t.Fatal(err)
		}
		sum := sha1.Sum(data)
		if s.Source != string(data) || s.SHA1 != hex.EncodeToString(sum[:]) {
			t.Errorf("%s is not its file, verbatim, with its hash", s.Name)
		}
	}
	slices.Sort(names)
	if diff := cmp.Diff(files, names); diff != "" {
		t.Errorf("scripts (-files +All):\n%s", diff)
	}
}

func TestEveryScriptOpensWithItsContract(t *testing.T) {
	t.Parallel()
	for _, s := range scripts() {
		head, _, _ := strings.Cut(s.Source, "\n\n")
		for _, line := range strings.Split(head, "\n") {
			if !strings.HasPrefix(line, "--") {
				t.Errorf("%s: %q stands before the end of the contract", s.Name, line)
			}
		}
		for _, want := range []string{"-- " + s.Name + " ", "\n-- KEYS   1 fj:", "\n-- ARGV   ", "\n-- Reply  ", "\n-- Cap    "} {
			if !strings.Contains("\n"+head, want) {
				t.Errorf("%s: the contract lacks %q", s.Name, want)
			}
		}
	}
}

var (
	command = regexp.MustCompile(`redis\.p?call\('([A-Z]+)'(?:, ([^,)]+))?`)
	keyless = []string{"TIME", "PUBSUB"}
	foreign = regexp.MustCompile(`\b(cjson|cmsgpack|struct|bit)\.|^#!`)
)

// A key that is built inside, or a library that one of the three servers lacks,
// would be found on somebody else's machine only.
func TestEveryScriptKeepsToItsKeysAndTheBaseline(t *testing.T) {
	t.Parallel()
	for _, s := range scripts() {
		calls := command.FindAllStringSubmatch(s.Source, -1)
		if len(calls) != strings.Count(s.Source, "redis.call(")+strings.Count(s.Source, "redis.pcall(") {
			t.Errorf("%s: a command is not a plain word", s.Name)
		}
		for _, call := range calls {
			if !slices.Contains(keyless, call[1]) && !strings.HasPrefix(call[2], "KEYS[") {
				t.Errorf("%s: %s %s touches a key that it was not given", s.Name, call[1], call[2])
			}
		}
		if found := foreign.FindString(s.Source); found != "" {
			t.Errorf("%s uses %q", s.Name, found)
		}
	}
}

var (
	example = regexp.MustCompile("(?m)^## (\\w+)\n(?:\n|[^`\n#].*\n)*```sh\n(.*)\n```\n\n```text\n((?:.+\n)+)```$")
	instant = regexp.MustCompile(`\b\d{13,16}\b`)
)

// The lines of the README, run in their order, reply as it says, but for the
// instants.
func TestReadmeLines(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("redis-cli"); err != nil {
		t.Skip("redis-cli is not installed")
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := example.FindAllStringSubmatch(string(readme), -1)
	if len(examples) != len(scripts()) {
		t.Fatalf("%d examples for %d scripts", len(examples), len(scripts()))
	}
	_, port, _ := strings.Cut(stacktest.Redis(t).Addr(), ":")
	for _, e := range examples {
		name, line, want := e[1], e[2], e[3]
		arguments, ok := strings.CutPrefix(line, "redis-cli --eval lua/"+name+".lua ")
		if !ok {
			t.Errorf("%s: the line is %q", name, line)
			continue
		}
		shell := exec.CommandContext(t.Context(), "sh", "-c", "redis-cli --no-raw -p "+port+" --eval lua/"+name+".lua "+arguments)
		shell.Dir = ".."
		got, err := shell.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, got)
		}
		if diff := cmp.Diff(instant.ReplaceAllString(want, "T"), instant.ReplaceAllString(string(got), "T")); diff != "" {
			t.Errorf("%s (-README +redis-cli):\n%s", line, diff)
		}
	}
}
