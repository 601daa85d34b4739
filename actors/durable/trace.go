package durable

import (
	"context"
	"fmt"
	"log/slog"
)

// levelTrace is below slog.LevelDebug: every step of every actor.
const levelTrace = slog.LevelDebug - 4

// trace logs a step that was decided on, without what is in its messages: that may be secret.
func (a *shell) trace(m Message, out Outcome) {
	ctx := context.Background()
	if !a.k.log.Enabled(ctx, levelTrace) {
		return
	}
	attrs := []any{"actor", a.c.addr, "message", fmt.Sprintf("%T", m.Body)}
	if m.Durable() {
		attrs = append(attrs, "id", m.ID.String(), "from", m.From)
	}
	if out.Refuse != nil {
		attrs = append(attrs, "refuses", out.Refuse)
	}
	a.k.log.Log(ctx, levelTrace, "step", append(attrs, "keeps", out.Keep, "events", len(out.Events), "sends", len(out.Send),
		"releases", len(out.Release))...)
}
