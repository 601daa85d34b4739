package persistence

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The clock that one patient commit starts is not that of the next: a commit that somebody hurried for leaves its clock
// running, and what comes then has all of its own time to share the sync of another.
func TestAPatientCommitWaitsForItsOwnClock(t *testing.T) {
	t.Parallel()
	b := openBadger(t, testOptions(t.TempDir()))
	p := newProgress()
	b.Start(p)
	a := &actor{addr: "account/a"}
	patient := func(body string) LSN {
		c := a.events(body)
		c.Patient = true
		return submit(t, b, c)
	}
	for range 3 {
		for busy := time.Now(); time.Since(busy) < patience/2; {
			first := patient("hurried for")
			b.Hurry(first)
			require.NoError(t, p.wait(first))
		}
		began := time.Now()
		require.NoError(t, p.wait(patient("nobody waits")))
		require.GreaterOrEqual(t, time.Since(began), patience)
	}
	require.NoError(t, b.Close())
}
