package app

import (
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/lmittmann/tint"
	"github.com/mattn/go-isatty"
)

// NewLog returns a logger that writes to w. format is "text", "json" or "auto":
// text for people where w is a terminal, JSON for programs elsewhere. level is
// "debug", "info", "warn" or "error".
func NewLog(w io.Writer, format, level string) (*slog.Logger, error) {
	var min slog.Level
	if err := min.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("log level %q: want debug, info, warn or error", level)
	}
	file, isFile := w.(*os.File)
	terminal := isFile && isatty.IsTerminal(file.Fd())
	switch {
	case format == "json", format == "auto" && !terminal:
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: min})), nil
	case format == "text", format == "auto":
		noColor := !terminal || os.Getenv("NO_COLOR") != ""
		return slog.New(tint.NewTextHandler(w,
			&tint.Options{Level: min, NoColor: noColor, TimeFormat: "15:04:05.000"})), nil
	}
	return nil, fmt.Errorf("log format %q: want auto, text or json", format)
}
