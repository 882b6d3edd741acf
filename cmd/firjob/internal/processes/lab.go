package processes

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
)

// LabCmd becomes firjob-lab, which holds the benchmarks and the chaos runs, with the
// same command line.
type LabCmd struct {
	Args []string `arg:"" optional:"" help:"As firjob-lab takes them."`
}

// Run looks for firjob-lab beside this program, then on the PATH.
func (c *LabCmd) Run(_ context.Context, command *kong.Context) error {
	name := strings.Fields(command.Command())[0]
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	program, err := exec.LookPath(filepath.Join(filepath.Dir(self), labProgram))
	if err != nil {
		program, err = exec.LookPath(labProgram)
	}
	if err != nil {
		return fmt.Errorf("%[1]s is a command of firjob-lab, which is not beside firjob and not on the PATH: "+
			"in the sources, run go run ./cmd/firjob-lab %[1]s, or build it (go build ./cmd/firjob-lab)", name)
	}
	err = syscall.Exec(program, append([]string{program, name}, c.Args...), os.Environ())
	return fmt.Errorf("start %s: %w", program, err)
}

const labProgram = "firjob-lab"
