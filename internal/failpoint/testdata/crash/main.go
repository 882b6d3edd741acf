// Crash passes two points for each line that it reads: with something in its hands
// if the line says so. It answers each line that it survives.
package main

import (
	"bufio"
	"fmt"
	"os"

	"github.com/firjob/firjob/internal/failpoint"
)

func main() {
	if err := failpoint.Check(); err != nil {
		fmt.Println(err)
		os.Exit(2)
	}
	fmt.Println("enabled:", failpoint.Enabled)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		n := 0
		if lines.Text() == "something" {
			n = 1
		}
		failpoint.Crash(failpoint.AfterPop, n)
		asked := 0
		failpoint.CrashWhen(failpoint.AfterBegin, func() int {
			asked++
			return max(n*(asked-2), 0) // 0 twice, then more if the line says so
		})
		fmt.Println("alive")
	}
}
