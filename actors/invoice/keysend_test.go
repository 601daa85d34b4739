package invoice

import (
	"errors"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"

	channelpb "stormcell/messages/channel"
	pb "stormcell/messages/invoice"
	"stormcell/peer/onion"
	"stormcell/persistence"
)

// keysend sends a payment that nobody asked for.
func (n *node) keysend(amount lnwire.MilliSatoshi, id uint64) Info {
	n.t.Helper()
	packet, err := onion.Build(session, []onion.Hop{{Key: nodePub, Payload: onion.Payload{
		Amount: amount, Expiry: soon, Keysend: &thePreimage,
	}}}, theHash)
	require.NoError(n.t, err)
	n.arrives("channel/1", &channelpb.IncomingHTLC{
		Id: id, AmountMsat: uint64(amount), PaymentHash: theHash[:], Expiry: soon, Onion: packet[:],
	})
	var gift Info
	require.Eventually(n.t, func() bool {
		gift, err = n.client.Lookup(n.ctx, theHash)
		return err == nil
	}, patience, time.Millisecond)
	return gift
}

// TestKeysendInTheLists: a payment that nobody asked for is added and settled in one commit, and has its place in both lists.
func TestKeysendInTheLists(t *testing.T) {
	t.Parallel()
	n := start(t, persistence.NewMemory())
	first := n.add(Request{Amount: 1})
	enough := errors.New("enough")
	var events []Event
	told := make(chan error, 1)
	go func() {
		told <- n.client.SubscribeAll(n.ctx, Since{Added: first.AddIndex}, func(e Event) error {
			if events = append(events, e); e.GetAmountMsat() == 3 {
				return enough
			}
			return nil
		})
	}()
	gift := n.keysend(2, 0)
	require.Equal(t, pb.Status_SETTLED, gift.GetStatus())
	require.Greater(t, gift.AddIndex, first.AddIndex)
	require.Equal(t, gift.AddIndex, gift.SettleIndex)
	last := n.add(Request{Amount: 3})
	require.ErrorIs(t, <-told, enough)
	require.Len(t, events, 3, "each is told once")
	require.Equal(t, []bool{false, true, false}, []bool{events[0].Settled, events[1].Settled, events[2].Settled})

	page, err := n.client.List(n.ctx, Query{Limit: 9})
	require.NoError(t, err)
	var numbers []uint64
	for _, i := range page {
		numbers = append(numbers, i.AddIndex)
	}
	require.Equal(t, []uint64{first.AddIndex, gift.AddIndex, last.AddIndex}, numbers)
}
