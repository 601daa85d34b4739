package daemon

import (
	"fmt"
	"net/http"
	"sync/atomic"

	"stormcell/actors/node"
)

// health answers whether the daemon can do its work: "ok", "degraded" with what is missing, or, with status 503, "failed".
type health struct {
	journal   interface{ Broken() error }
	hasWallet func() bool
	node      atomic.Pointer[node.Node] // nil until unlocked
	stopping  atomic.Bool
}

// ServeHTTP implements http.Handler.
func (h *health) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if why := h.failure(); why != "" {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintf(w, "failed\n%s\n", why)
		return
	}
	missing := h.missing()
	if len(missing) == 0 {
		fmt.Fprintln(w, "ok")
		return
	}
	fmt.Fprintln(w, "degraded")
	for _, what := range missing {
		fmt.Fprintln(w, what)
	}
}

// failure is why the daemon can do nothing, empty if it can.
func (h *health) failure() string {
	if err := h.journal.Broken(); err != nil {
		return fmt.Sprintf("the journal has failed: %v", err)
	}
	if h.stopping.Load() {
		return "the daemon is stopping"
	}
	return ""
}

// mostHalted is how many halted actors are named.
const mostHalted = 10

// missing is what somebody should look after.
func (h *health) missing() (what []string) {
	n := h.node.Load()
	switch {
	case n == nil && !h.hasWallet():
		return []string{"there is no wallet yet: run 'stormcell create'"}
	case n == nil:
		return []string{"the wallet is locked: run 'stormcell unlock'"}
	}
	if tip, synced := n.SyncedTo(); !synced {
		what = append(what, fmt.Sprintf("the chain is not synced: the best block that is known is %d", tip.Height))
	}
	for i, halt := range n.Kernel.Halted() {
		if i == mostHalted {
			return append(what, "and more have halted")
		}
		what = append(what, fmt.Sprintf("%s has halted: 'stormcell debug halted' says more", halt.Actor))
	}
	return what
}
