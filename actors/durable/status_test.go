package durable_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"stormcell/actors/durable"
	"stormcell/persistence"
)

func statusOf(p *process, addr durable.Address) durable.ActorStatus {
	for _, a := range p.Status().Actors {
		if a.Address == addr {
			return a
		}
	}
	return durable.ActorStatus{}
}

// TestStatus: what is alive, how deep mailboxes are, what failed how often, when and why, and what has halted.
func TestStatus(t *testing.T) {
	t.Parallel()
	sick, timer := newSick(), newClock()
	p := boot(t, persistence.NewMemory(), durable.Options{Runtime: timer}, pad0, allergic(sick))
	p.ask("pad/b", writing("there"))
	p.ask("pad/a", writing("there"))
	release := p.hold("pad/a")
	for range 3 {
		p.tell("pad/a", do(reading))
	}
	p.ask("pad/b", sending("pad/a", 1, 2))
	require.Equal(t, durable.ActorStatus{Address: "pad/a", State: "ready", Mailbox: 5, Inbox: 2}, statusOf(p, "pad/a"))
	require.Equal(t, durable.ActorStatus{Address: "pad/b", State: "ready"}, statusOf(p, "pad/b"))
	require.NoError(t, testutil.CollectAndCompare(p, strings.NewReader(`
# HELP stormcell_mailbox_depth Messages that wait in memory, for all actors of the kind together.
# TYPE stormcell_mailbox_depth gauge
stormcell_mailbox_depth{kind="pad"} 5
stormcell_mailbox_depth{kind="to"} 0
# HELP stormcell_mailbox_depth_max Messages that wait in memory for the actor with the most of its kind.
# TYPE stormcell_mailbox_depth_max gauge
stormcell_mailbox_depth_max{kind="pad"} 5
stormcell_mailbox_depth_max{kind="to"} 0
`), "stormcell_mailbox_depth", "stormcell_mailbox_depth_max"))
	release.fire()
	p.until("its mailbox is empty", func() bool { return statusOf(p, "pad/a").Mailbox == 0 })

	require.Empty(t, p.Status().Failed)
	began := timer.Now()
	p.ask("pad/b", sending("to/a", 2))
	p.until("it rests", func() bool { return statusOf(p, "to/a").State == "resting" })
	failed := p.Status().Failed
	require.Len(t, failed, 1)
	require.Equal(t, durable.Failed{
		Actor: "to/a", Times: 1, Last: began, About: failed[0].About, Reason: "allergic to number 2",
	}, failed[0])
	require.Contains(t, failed[0].About, "inbox ")
	timer.advance(0)
	p.until("it rests longer", func() bool { return len(timer.pending()) == 1 && timer.pending()[0] > 0 })
	timer.advance(time.Second)
	p.halted("to/a")
	status := p.Status()
	require.Equal(t, "halted", statusOf(p, "to/a").State)
	require.Equal(t, 3, status.Failed[0].Times)
	require.Equal(t, began.Add(time.Second), status.Failed[0].Last)
	require.Equal(t, []string{"pad", "to"}, []string{status.Kinds[0].Name, status.Kinds[1].Name})
	require.Equal(t, 2, status.Kinds[0].Awake)
	require.NotZero(t, status.Kinds[0].Steps)
	require.Equal(t, 1, status.Kinds[1].Halted)
	require.EqualValues(t, 3, status.Kinds[1].Failures)

	sick.Store(false)
	require.NoError(t, p.Retry("to/a"))
	p.world.seen(t, "to/a", 1)
	require.Equal(t, 3, p.Status().Failed[0].Times, "what has been mended is still remembered")
}

// TestFailuresAreBounded: of many actors that failed, those that did so last are remembered.
func TestFailuresAreBounded(t *testing.T) {
	t.Parallel()
	const most = 256
	timer := newClock()
	p := boot(t, persistence.NewMemory(), durable.Options{Runtime: timer}, pad0)
	for i := range most + 2 {
		p.tell(durable.Address(fmt.Sprintf("pad/%d", i)), do(panicking))
		p.until("it has failed", func() bool {
			return len(p.Status().Failed) == min(i+1, most) && p.Status().Kinds[0].Failures == uint64(i+1)
		})
		timer.advance(time.Second)
	}
	failed := p.Status().Failed
	require.Len(t, failed, most)
	require.Equal(t, durable.Address("pad/257"), failed[0].Actor)
	require.Equal(t, durable.Address("pad/2"), failed[most-1].Actor)
}

// TestTrace: with the lowest level every step is logged, and nothing of what messages say.
func TestTrace(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := boot(t, persistence.NewMemory(), durable.Options{
		Log: slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug - 4})),
	})
	p.ask("pad/a", writing("a secret"))
	p.ask("pad/a", sending("pad/b", 1))
	p.world.seen(t, "pad/b", 1)
	p.shut()
	require.Contains(t, out.String(), "msg=step actor=pad/a message=durable_test.do keeps=false events=1 sends=0 releases=1")
	require.Contains(t, out.String(), "actor=pad/b message=*testpb.Note id=2.0 from=pad/a")
	require.NotContains(t, out.String(), "secret")
}

// TestExposition: what Prometheus is told is well-formed, and every metric has a text.
func TestExposition(t *testing.T) {
	t.Parallel()
	p := boot(t, persistence.NewMemory(), durable.Options{})
	registry := prometheus.NewPedanticRegistry()
	require.NoError(t, registry.Register(p.Kernel))
	problems, err := testutil.GatherAndLint(registry)
	require.NoError(t, err)
	require.Empty(t, problems)
}
