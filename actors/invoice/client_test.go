package invoice

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg"
	sphinx "github.com/lightningnetwork/lightning-onion"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"stormcell/actors/durable"
	channelpb "stormcell/messages/channel"
	pb "stormcell/messages/invoice"
	"stormcell/peer/onion"
	"stormcell/persistence"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// node is a kernel with invoices, and stubs for channels and monitors that pass on what they are told and keep nothing.
type node struct {
	t       *testing.T
	ctx     context.Context
	journal *persistence.Memory
	kernel  *durable.Kernel
	shell   *Shell
	client  Client
}

func start(t *testing.T, journal *persistence.Memory) *node {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	n := &node{t: t, ctx: ctx, journal: journal}
	log := slog.New(slog.DiscardHandler)
	n.kernel = durable.New(durable.Options{Journal: journal, World: n, Log: log})
	n.shell = NewShell(n.kernel, durable.Wall{}, func() uint32 { return theHeight }, log)
	n.client = n.shell.Client()
	policy := DefaultPolicy()
	policy.Keysend = true
	core := Core{
		Network: &chaincfg.RegressionNetParams, ECDH: (&sphinx.PrivKeyECDH{PrivKey: nodeKey}).ECDH, SignInvoice: sign,
		Height: func() uint32 { return theHeight }, Policy: policy,
	}
	require.NoError(t, durable.Register(n.kernel, Kind(), core))
	require.NoError(t, durable.Register(n.kernel, durable.Kind{Name: "channel"}, stub{}))
	require.NoError(t, durable.Register(n.kernel, durable.Kind{Name: "monitor"}, stub{}))
	require.NoError(t, n.kernel.Start())
	t.Cleanup(func() {
		stop, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = n.kernel.Stop(stop)
		_ = journal.Close()
	})
	return n
}

// Release implements durable.World.
func (n *node) Release(from durable.Address, session uint64, e durable.Effect) {
	n.shell.Release(from, session, e)
}

// Ended implements durable.World.
func (n *node) Ended(addr durable.Address, session uint64) { n.shell.Ended(addr, session) }

// stub stands in for channels and monitors.
type stub struct{}

func (stub) Recover(durable.Address, proto.Message) (*struct{}, error) { return &struct{}{}, nil }
func (stub) Apply(*struct{}, proto.Message)                            {}
func (stub) Snapshot(*struct{}) proto.Message                          { return &pb.Invoice{} }
func (stub) Resume(*struct{}, durable.Env) durable.Outcome             { return durable.Outcome{} }

func (stub) Decide(_ *struct{}, m durable.Message, _ durable.Env) durable.Outcome {
	if pass, ok := m.Body.(durable.Envelope); ok {
		return durable.Outcome{Send: []durable.Envelope{pass}}
	}
	return durable.Outcome{}
}

func (n *node) add(want Request) Info {
	n.t.Helper()
	i, err := n.client.Add(n.ctx, want, nil)
	require.NoError(n.t, err)
	return i
}

// pay sends the whole amount of an invoice over a channel.
func (n *node) pay(i Info, channel durable.Address, id uint64) {
	n.t.Helper()
	amount := lnwire.MilliSatoshi(i.GetAmountMsat())
	packet, err := onion.Build(session, []onion.Hop{{Key: nodePub, Payload: onion.Payload{
		Amount: amount, Expiry: soon, Payment: &onion.PaymentData{Secret: [32]byte(i.GetPaymentSecret()), Total: amount},
	}}}, [32]byte(i.GetPaymentHash()))
	require.NoError(n.t, err)
	n.arrives(channel, &channelpb.IncomingHTLC{
		Id: id, AmountMsat: uint64(amount), PaymentHash: i.GetPaymentHash(), Expiry: soon, Onion: packet[:],
	})
}

// arrives lets an HTLC come over a channel.
func (n *node) arrives(channel durable.Address, in *channelpb.IncomingHTLC) {
	n.t.Helper()
	require.NoError(n.t, n.kernel.Tell(channel, 0, durable.Envelope{To: Address([32]byte(in.GetPaymentHash())), Body: in}))
}

func (n *node) until(i Info, want pb.Status) Info {
	n.t.Helper()
	enough := errors.New("enough")
	var last Info
	err := n.client.Subscribe(n.ctx, [32]byte(i.GetPaymentHash()), func(now Info) error {
		if last = now; now.GetStatus() == want {
			return enough
		}
		return nil
	})
	require.ErrorIs(n.t, err, enough)
	return last
}

func TestClient(t *testing.T) {
	t.Parallel()
	n := start(t, persistence.NewMemory())
	tea := n.add(Request{Amount: 1_000, Description: "tea"})
	require.NotZero(t, tea.AddIndex)
	require.Zero(t, tea.SettleIndex)
	hash := sha256.Sum256(tea.GetPreimage())
	require.Equal(t, hash[:], tea.GetPaymentHash())
	require.False(t, tea.GetHold())

	n.pay(tea, "channel/1", 0)
	settled := n.until(tea, pb.Status_SETTLED)
	require.Equal(t, tea.AddIndex, settled.AddIndex)
	require.Greater(t, settled.SettleIndex, tea.AddIndex)

	held, err := n.client.Add(n.ctx, Request{Amount: 2_000}, &theHash)
	require.NoError(t, err)
	require.True(t, held.GetHold())
	require.Empty(t, held.GetPreimage())
	require.ErrorIs(t, n.client.Settle(n.ctx, thePreimage), ErrNotHeld)
	n.pay(held, "channel/1", 1)
	n.until(held, pb.Status_HELD)
	require.NoError(t, n.client.Settle(n.ctx, thePreimage))
	require.Equal(t, thePreimage[:], n.until(held, pb.Status_SETTLED).GetPreimage())
	require.ErrorIs(t, n.client.Cancel(n.ctx, theHash), ErrSettled)

	_, err = n.client.Add(n.ctx, Request{}, &theHash)
	require.ErrorIs(t, err, ErrExists)
	never := [32]byte{4}
	_, err = n.client.Lookup(n.ctx, never)
	require.ErrorIs(t, err, ErrNotFound)
	require.ErrorIs(t, n.client.Cancel(n.ctx, never), ErrNotFound)
	require.ErrorIs(t, n.client.Settle(n.ctx, never), ErrNotFound)
}

// TestSubscribeBeforeThereIsAnInvoice: who wants to miss nothing of a hold invoice subscribes before it is added.
func TestSubscribeBeforeThereIsAnInvoice(t *testing.T) {
	t.Parallel()
	n := start(t, persistence.NewMemory())
	subscribed := func() (some bool) {
		n.client.shell.subscribers.Range(func(any, any) bool { some = true; return false })
		return some
	}
	seen, enough := make(chan Info, 1), errors.New("enough")
	ended := make(chan error, 1)
	go func() {
		ended <- n.client.Subscribe(n.ctx, theHash, func(i Info) error { seen <- i; return enough })
	}()
	require.Eventually(t, subscribed, 10*time.Second, time.Millisecond)
	_, err := n.client.Add(n.ctx, Request{Amount: 2_000}, &theHash)
	require.NoError(t, err)
	require.Equal(t, pb.Status_OPEN, (<-seen).GetStatus())
	require.ErrorIs(t, <-ended, enough)
	require.False(t, subscribed())
}

func TestList(t *testing.T) {
	t.Parallel()
	n := start(t, persistence.NewMemory())
	none, err := n.client.List(n.ctx, Query{Limit: 10})
	require.NoError(t, err)
	require.Empty(t, none)

	const count = 2*pageSize + 50
	var all []uint64
	for i := range count {
		all = append(all, n.add(Request{Amount: lnwire.MilliSatoshi(i + 1)}).AddIndex)
	}
	require.IsIncreasing(t, all)
	numbers := func(q Query) (got []uint64) {
		page, err := n.client.List(n.ctx, q)
		require.NoError(t, err)
		for _, i := range page {
			got = append(got, i.AddIndex)
		}
		return got
	}
	require.Equal(t, all, numbers(Query{Limit: 1000}))
	require.Equal(t, all[:3], numbers(Query{Limit: 3}))
	require.Equal(t, all[7:9], numbers(Query{After: all[6], Limit: 2}))
	require.Equal(t, []uint64{all[count-1], all[count-2]}, numbers(Query{Reverse: true, Limit: 2}))
	require.Equal(t, []uint64{all[1], all[0]}, numbers(Query{After: all[2], Reverse: true, Limit: 9}))
	last := func(i *pb.Invoice) bool { return i.GetAmountMsat() > count-2 }
	require.Equal(t, all[count-2:], numbers(Query{Limit: 5, Wanted: last}))
	_, err = n.client.List(n.ctx, Query{})
	require.ErrorIs(t, err, ErrBadRequest)
}

// TestNobodyPaidInTime: what expired is cancelled for all who ask, follow and list, and is not settled any more.
func TestNobodyPaidInTime(t *testing.T) {
	t.Parallel()
	n := start(t, persistence.NewMemory())
	open := n.add(Request{Amount: 1, Expiry: time.Hour})
	late, err := n.client.Add(n.ctx, Request{Amount: 2, Expiry: time.Second}, &theHash)
	require.NoError(t, err)
	n.until(late, pb.Status_OPEN)
	canceled := n.until(late, pb.Status_CANCELED)
	require.Equal(t, late.GetCreatedNs()+1e9, canceled.GetClosedNs())
	found, err := n.client.Lookup(n.ctx, theHash)
	require.NoError(t, err)
	require.Equal(t, pb.Status_CANCELED, found.GetStatus())
	still := func(i *pb.Invoice) bool { return i.GetStatus() == pb.Status_OPEN }
	page, err := n.client.List(n.ctx, Query{Limit: 9, Wanted: still})
	require.NoError(t, err)
	require.Len(t, page, 1)
	require.Equal(t, open.AddIndex, page[0].AddIndex)
	require.ErrorIs(t, n.client.Settle(n.ctx, thePreimage), ErrCanceled)
	require.NoError(t, n.client.Cancel(n.ctx, theHash))
	n.until(late, pb.Status_CANCELED)
}

func TestHeightsReachWhoHolds(t *testing.T) {
	t.Parallel()
	n := start(t, persistence.NewMemory())
	held := n.add(Request{Amount: 5, Hold: true})
	n.pay(held, "channel/1", 0)
	n.until(held, pb.Status_HELD)
	n.shell.NewHeight(theHeight + 1)
	require.Equal(t, pb.Status_HELD, n.until(held, pb.Status_HELD).GetStatus())
	n.shell.NewHeight(soon)
	n.until(held, pb.Status_CANCELED)
}

// TestR7: all is claimed, and the user was not told when the process died. Who subscribes after what it saw is told.
func TestR7(t *testing.T) {
	t.Parallel()
	n := start(t, persistence.NewMemory())
	before, first := n.add(Request{Amount: 7}), n.add(Request{Amount: 1})
	seen := make(chan Event, 10)
	subscribed, unsubscribe := context.WithCancel(n.ctx)
	ended := make(chan error, 1)
	go func() {
		ended <- n.client.SubscribeAll(subscribed, Since{Added: before.AddIndex}, func(e Event) error {
			seen <- e
			return nil
		})
	}()
	next := func() Event {
		select {
		case e := <-seen:
			return e
		case <-n.ctx.Done():
			require.Fail(t, "nothing was told")
			return Event{}
		}
	}
	told := next()
	require.Equal(t, first.AddIndex, told.AddIndex)
	require.False(t, told.Settled)
	n.pay(first, "channel/1", 0)
	told = next()
	require.True(t, told.Settled)
	require.Equal(t, pb.Status_SETTLED, told.GetStatus())
	unsubscribe()
	require.ErrorIs(t, <-ended, context.Canceled)
	since := Since{Added: first.AddIndex, Settled: told.SettleIndex}

	second, third := n.add(Request{Amount: 2}), n.add(Request{Amount: 3})
	n.pay(third, "channel/1", 1)
	n.until(third, pb.Status_SETTLED)
	n.pay(second, "channel/1", 2)
	n.until(second, pb.Status_SETTLED)
	journal := n.journal.Crash(n.journal.Last())

	n = start(t, journal)
	enough := errors.New("enough")
	var events []Event
	err := n.client.SubscribeAll(n.ctx, since, func(e Event) error {
		if events = append(events, e); len(events) == 4 {
			return enough
		}
		return nil
	})
	require.ErrorIs(t, err, enough)
	require.Equal(t, []uint64{second.AddIndex, third.AddIndex}, []uint64{events[0].AddIndex, events[1].AddIndex})
	require.False(t, events[0].Settled || events[1].Settled)
	require.Equal(t, []uint64{third.AddIndex, second.AddIndex}, []uint64{events[2].AddIndex, events[3].AddIndex})
	require.True(t, events[2].Settled && events[3].Settled)
	require.Less(t, events[2].SettleIndex, events[3].SettleIndex)
}

// TestSubscribeFromNow: who names no number is told what comes next.
func TestSubscribeFromNow(t *testing.T) {
	t.Parallel()
	n := start(t, persistence.NewMemory())
	n.add(Request{Amount: 1})
	ready, enough := make(chan uint64, 1), errors.New("enough")
	since := Since{}
	require.NoError(t, n.client.fromNow(n.ctx, &since))
	next := n.add(Request{Amount: 2})
	go func() {
		err := n.client.SubscribeAll(n.ctx, since, func(e Event) error {
			ready <- e.AddIndex
			return enough
		})
		if !errors.Is(err, enough) {
			ready <- 0
		}
	}()
	require.Equal(t, next.AddIndex, <-ready)
}
