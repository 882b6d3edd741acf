// Package terminal reports whether a stream is a terminal, and how wide it is.
package terminal

import (
	"os"

	"github.com/mattn/go-isatty"
	"golang.org/x/sys/unix"
)

// fallbackWidth is taken for a terminal that does not tell its width.
const fallbackWidth = 100

// Is reports whether stream is a terminal.
func Is(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && isatty.IsTerminal(file.Fd())
}

// Width returns how many characters a line of a terminal has, 0 for any other stream.
func Width(stream any) int {
	file, ok := stream.(*os.File)
	if !ok || !isatty.IsTerminal(file.Fd()) {
		return 0
	}
	size, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Col == 0 {
		return fallbackWidth
	}
	return int(size.Col)
}
