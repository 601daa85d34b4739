package persistence

import (
	"testing"
	"time"

	badger "github.com/dgraph-io/badger/v4"
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

// A clock may run out while the disk is busy with commits from before: what it was for is still overdue afterwards.
func TestAClockThatEndsDuringASyncIsNotForgotten(t *testing.T) {
	t.Parallel()
	o := testOptions(t.TempDir())
	entered, goOn := make(chan struct{}, 8), make(chan struct{})
	b := openBadger(t, o)
	b.opts.hooks.sync = func(db *badger.DB) error {
		entered <- struct{}{}
		<-goOn
		return db.Sync()
	}
	p := newProgress()
	b.Start(p)
	a := &actor{addr: "account/a"}
	submit(t, b, a.events("somebody waits"))
	<-entered
	late := a.events("nobody waits")
	late.Patient = true
	lsn := submit(t, b, late)
	began := time.Now()
	require.Eventually(t, func() bool { return time.Since(began) > 3*patience }, time.Minute, patience)
	close(goOn)
	require.Eventually(t, func() bool { return b.Durable() == lsn }, 10*time.Second, time.Millisecond)
	require.NoError(t, b.Close())
}
