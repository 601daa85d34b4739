package channel

import (
	"context"
	"log/slog"
	"testing"
	"time"

	btcwire "github.com/btcsuite/btcd/wire"
	"github.com/stretchr/testify/require"

	"stormcell/actors/durable"
	"stormcell/actors/onchain"
	"stormcell/chain/backend/backendtest"
	"stormcell/persistence"
)

// slow is a channel that is busy: it takes a message only when the test lets it.
type slow struct {
	Core
	next chan struct{}
	seen chan any
}

func (c *slow) Decide(_ *State, m durable.Message, _ durable.Env) durable.Outcome {
	<-c.next
	c.seen <- m.Body
	return durable.Outcome{}
}

// nowhere is a world where nothing happens.
type nowhere struct{}

func (nowhere) Release(durable.Address, uint64, durable.Effect) {}
func (nowhere) Ended(durable.Address, uint64)                   {}

// chainShell is a shell with a chain, and a kernel that runs one kind of channel.
func chainShell(t *testing.T, core durable.Core[*State], kind durable.Kind) (*Shell, *backendtest.Chain) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	k := durable.New(durable.Options{Journal: persistence.NewMemory(), World: nowhere{}, Log: log})
	require.NoError(t, durable.Register(k, kind, core))
	require.NoError(t, k.Start())
	chain := backendtest.NewChain()
	desk := onchain.NewDesk(onchain.Options{Kernel: k, Backend: chain, Runtime: durable.Wall{}, FallbackFeeRate: 300, Log: log})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- desk.Run(ctx) }()
	t.Cleanup(func() {
		stopping, stopped := context.WithTimeout(context.Background(), 10*time.Second)
		defer stopped()
		require.NoError(t, k.Stop(stopping))
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
	})
	s := NewShell(Config{Kernel: k, Runtime: durable.Wall{}, Desk: desk, Log: log})
	return s, chain
}

func eventually(t *testing.T, met func() bool) {
	t.Helper()
	require.Eventually(t, met, time.Minute, time.Millisecond)
}

// TestABusyChannelHearsEachHeight: a peer that keeps it busy must not keep it from its deadlines.
func TestABusyChannelHearsEachHeight(t *testing.T) {
	t.Parallel()
	core := &slow{next: make(chan struct{}), seen: make(chan any, 1_000)}
	s, _ := chainShell(t, core, durable.Kind{Name: Name, Mailbox: 4, Creates: func(any) bool { return true }})
	const channel durable.Address = "channel/1"
	s.member(channel)
	told := 0
	eventually(t, func() bool {
		if s.Kernel.Tell(channel, 0, Figures{}) == nil {
			told++
			return false
		}
		return true
	})
	require.ErrorIs(t, s.Kernel.Tell(channel, 0, Figures{}), durable.ErrBusy)
	s.height(800_000)
	close(core.next)
	eventually(t, func() bool { return len(core.seen) > told })
	for range told {
		require.Equal(t, Figures{}, <-core.seen)
	}
	require.Equal(t, Height{800_000}, <-core.seen)
}

// TestNothingIsPublishedForAChannelThatIsGone: one that was never funded, and that we wanted to close by force, had its
// commitment published at each block.
func TestNothingIsPublishedForAChannelThatIsGone(t *testing.T) {
	t.Parallel()
	s, chain := chainShell(t, &Core{}, Kind())
	eventually(t, func() bool { _, known := s.Desk.Tip(); return known })
	m := entered(s, "channel/1", 1, false)
	point := btcwire.OutPoint{Index: 1}
	require.True(t, s.claim(m, point))
	tx := btcwire.NewMsgTx(2)
	tx.AddTxIn(btcwire.NewTxIn(&point, nil, btcwire.TxWitness{make([]byte, 64)}))
	tx.AddTxOut(btcwire.NewTxOut(1000, append([]byte{0, 20}, make([]byte, 20)...)))
	s.publish(onchain.Owner{Address: m.address}, Publish{Tx: tx})
	eventually(t, func() bool { return len(chain.Published()) == 1 })
	chain.Mine()
	eventually(t, func() bool { return len(chain.Published()) == 2 })

	s.withdraw(m.address)
	other := btcwire.NewMsgTx(2)
	other.AddTxIn(btcwire.NewTxIn(&btcwire.OutPoint{Index: 2}, nil, btcwire.TxWitness{make([]byte, 64)}))
	other.AddTxOut(tx.TxOut[0])
	s.Desk.Publish(onchain.Owner{Address: "channel/2"}, onchain.Publication{Tx: other})
	chain.Mine()
	eventually(t, func() bool { return len(chain.Published()) >= 4 }) // what was asked for later is published later
	for _, published := range chain.Published()[2:] {
		require.Equal(t, other.TxHash(), published.TxHash())
	}
}
