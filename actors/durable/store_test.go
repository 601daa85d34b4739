package durable_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"stormcell/actors/durable"
	"stormcell/actors/durable/internal/testpb"
	"stormcell/persistence"
)

// commits remembers what was submitted for one actor.
type commits struct {
	mu  sync.Mutex
	all []*persistence.Commit
}

func (c *commits) of(addr durable.Address, j persistence.Journal) *hooked {
	return &hooked{Journal: j, submitted: func(commit *persistence.Commit, _ persistence.LSN) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if commit.Actor == addr {
			c.all = append(c.all, commit)
		}
	}}
}

// TestStoreAndReplay: whatever a kind says about snapshots, the next process finds the state that was.
func TestStoreAndReplay(t *testing.T) {
	for _, every := range []int{0, 1, 2, 5} {
		t.Run(fmt.Sprint(every), func(t *testing.T) {
			onBoth(t, func(t *testing.T, d disk) {
				k := kind{Kind: durable.Kind{Name: "pad", SnapshotEvery: every}}
				var before *testpb.Pad
				for life := range 4 {
					p := boot(t, d.open(t), durable.Options{Runtime: impatient{}}, k)
					if life > 0 {
						require.True(t, proto.Equal(before, p.state("pad/a")), "life %d: %v, then %v", life, before, p.state("pad/a"))
					}
					for i := range 7 {
						p.ask("pad/a", writing(fmt.Sprintf("%d.%d", life, i)))
						if i == 3 {
							before = p.state("pad/a")
							p.tell("pad/a", do(panicking))
							require.True(t, proto.Equal(before, p.state("pad/a")))
						}
					}
					before = p.state("pad/a")
					require.EqualValues(t, 7*(life+1), before.Count)
					p.shut()
				}
			})
		})
	}
}

// TestSnapshots: a snapshot comes when enough events have come since the last, it stands in place of the events of its
// commit, and those before it are dropped.
func TestSnapshots(t *testing.T) {
	onBoth(t, func(t *testing.T, d disk) {
		var c commits
		j := c.of("pad/a", d.open(t))
		p := boot(t, j, durable.Options{}, kind{Kind: durable.Kind{Name: "pad", SnapshotEvery: 3}})
		for i := range 12 {
			p.ask("pad/a", writing(fmt.Sprint(i)))
		}
		snapshots, first := 0, uint64(1)
		for i, commit := range c.all {
			require.EqualValues(t, i+1, commit.Head.LastEvent)
			if commit.Snapshot == nil {
				require.Len(t, commit.Events, 1)
				require.Zero(t, commit.DropTo)
				continue
			}
			snapshots++
			require.Empty(t, commit.Events)
			require.Equal(t, commit.Head.LastEvent, commit.Head.SnapshotEvent)
			require.Equal(t, [2]uint64{first, commit.Head.LastEvent - 1}, [2]uint64{commit.DropFrom, commit.DropTo})
			require.GreaterOrEqual(t, commit.Head.LastEvent+1-first, uint64(3))
			first = commit.Head.LastEvent + 1
		}
		require.GreaterOrEqual(t, snapshots, 2)
		require.Equal(t, int(12-c.all[11].Head.SnapshotEvent), len(stored(t, j, "pad/a").Events))
	})
}

// TestStateEachStep: a kind with SnapshotEvery 1 stores its state and no events.
func TestStateEachStep(t *testing.T) {
	onBoth(t, func(t *testing.T, d disk) {
		var c commits
		j := c.of("pad/a", d.open(t))
		p := boot(t, j, durable.Options{}, kind{Kind: durable.Kind{Name: "pad", SnapshotEvery: 1}})
		for i := range 3 {
			p.ask("pad/a", writing(fmt.Sprint(i)))
		}
		for _, commit := range c.all {
			require.NotNil(t, commit.Snapshot)
			require.Empty(t, commit.Events)
			require.Zero(t, commit.Head.LastEvent)
			require.Zero(t, commit.DropTo)
		}
		require.Equal(t, []string{"0", "1", "2"}, p.state("pad/a").Texts)
	})
}

// TestSnapshotsDoNotOutweighEvents: an actor with a large state and small events writes few snapshots, but never leaves more
// than a bounded number of events to replay.
func TestSnapshotsDoNotOutweighEvents(t *testing.T) {
	t.Parallel()
	var c commits
	j := c.of("pad/a", persistence.NewMemory())
	p := boot(t, j, durable.Options{}, kind{Kind: durable.Kind{Name: "pad", SnapshotEvery: 10}})
	many := func(n, fill int) {
		p.ask("pad/a", do(func(_ *pad, m durable.Message, _ durable.Env) durable.Outcome {
			var out durable.Outcome
			for range n {
				ev := &testpb.Noted{Number: 1}
				if fill > 0 {
					ev.Fill = make([]byte, fill)
				}
				out.Events = append(out.Events, ev)
			}
			return with(m, nil, out)
		}))
	}
	weigh := func() (snapshots, events int) {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, commit := range c.all {
			if commit.Snapshot != nil {
				snapshots += len(commit.Snapshot.Body)
			}
			for _, e := range commit.Events {
				events += len(e.Body)
			}
		}
		return snapshots, events
	}
	for range 100 {
		many(1, 10_000) // events as large as the state
	}
	snapshots, events := weigh()
	require.Positive(t, snapshots)
	require.LessOrEqual(t, snapshots, events)

	c.mu.Lock()
	taken := len(c.all)
	c.mu.Unlock()
	for range 50 {
		many(100, 0) // a hundred small ones
	}
	count, newest := 0, uint64(0)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, commit := range c.all[taken:] {
		if commit.Snapshot != nil {
			count++
		}
		newest = max(newest, commit.Head.LastEvent-commit.Head.SnapshotEvent)
	}
	require.Equal(t, 1, count, "for their number: they do not weigh as much as the state")
	require.Less(t, newest, uint64(4096))
}
