package daemon

import (
	"errors"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

// stubJournal is broken by the error that it is, if any.
type stubJournal struct{ err error }

func (j stubJournal) Broken() error { return j.err }

func TestHealth(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		journal  error
		wallet   bool
		stopping bool
		status   int
		says     string
	}{
		"no wallet":      {status: 200, says: "degraded\nthere is no wallet yet: run 'stormcell create'\n"},
		"locked":         {wallet: true, status: 200, says: "degraded\nthe wallet is locked: run 'stormcell unlock'\n"},
		"stopping":       {wallet: true, stopping: true, status: 503, says: "failed\nthe daemon is stopping\n"},
		"journal failed": {journal: errors.New("disk on fire"), status: 503, says: "failed\nthe journal has failed: disk on fire\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := &health{journal: stubJournal{c.journal}, hasWallet: func() bool { return c.wallet }}
			h.stopping.Store(c.stopping)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("GET", "/healthz", nil))
			require.Equal(t, c.status, w.Code)
			require.Equal(t, c.says, w.Body.String())
		})
	}
}
