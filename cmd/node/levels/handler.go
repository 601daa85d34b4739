package levels

import (
	"context"
	"log/slog"

	"stormcell/actors/node"
)

// handler has the level of one subsystem. Which one, an attribute says.
type handler struct {
	slog.Handler
	level  *slog.LevelVar
	levels *Levels
}

// Enabled implements slog.Handler.
func (h handler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level.Level() }

// WithAttrs implements slog.Handler.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	out := handler{h.Handler.WithAttrs(attrs), h.level, h.levels}
	for _, a := range attrs {
		if level := h.levels.vars[a.Value.String()]; a.Key == node.SubsystemKey && level != nil {
			out.level = level
		}
	}
	return out
}

// WithGroup implements slog.Handler.
func (h handler) WithGroup(name string) slog.Handler {
	return handler{h.Handler.WithGroup(name), h.level, h.levels}
}
