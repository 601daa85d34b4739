package daemon

import (
	"io"
	"log/slog"
	"os"

	"gopkg.in/natefinch/lumberjack.v2"

	"stormcell/cmd/node/config"
	"stormcell/cmd/node/levels"
)

// logFile is in the data directory; five old ones of 20 MB are kept beside it.
const logFile = "stormcell.log"

// newLog writes to stderr and to a file what the levels want. The second result closes the file.
func newLog(c config.Daemon, stderr *os.File) (*slog.Logger, func()) {
	file := &lumberjack.Logger{Filename: c.Path(logFile), MaxSize: 20, MaxBackups: 5}
	out := io.MultiWriter(stderr, file)
	options := &slog.HandlerOptions{Level: levels.Trace, ReplaceAttr: levels.Rename}
	var handler slog.Handler = slog.NewTextHandler(out, options)
	if c.LogJSON {
		handler = slog.NewJSONHandler(out, options)
	}
	return slog.New(c.LogLevels.Handler(handler)), func() { _ = file.Close() }
}
