package channel

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"stormcell/actors/durable"
	pb "stormcell/messages/channel"
	"stormcell/messages/record"
	"stormcell/peer/wire"
)

// openDoubtable is an open channel whose data can come into doubt, and that is connected.
func openDoubtable(t rapid.TB) *pair {
	p := newPair(t, newFixture())
	p.world = func(_ int, e durable.Effect) bool {
		switch e.(type) {
		case Proved, Withheld:
			return true
		}
		return false
	}
	p.connect()
	p.rest()
	return p
}

// doubt restarts a host on data that is doubted.
func (p *pair) doubt(i int) *host {
	h := p.hosts[i]
	p.disconnect()
	h.core.Doubt++
	h.restart()
	for h.step() {
	}
	h.takeReleased()
	return h
}

// doubtful is an open channel with an HTLC of ours in it, whose data is doubted.
func doubtful(t *testing.T) (*pair, *host) {
	p := openDoubtable(t)
	p.add(0, 50_000_000)
	p.rest()
	return p, p.doubt(0)
}

func publishes(effects []durable.Effect) bool {
	for _, e := range effects {
		if _, ok := e.(Publish); ok {
			return true
		}
	}
	return false
}

func described(t *testing.T, h *host) Info {
	t.Helper()
	h.takeReleased()
	h.tell(Describe{})
	for h.step() {
	}
	for _, e := range h.takeReleased() {
		if reply, ok := e.(durable.Reply); ok {
			return reply.Body.(Info)
		}
	}
	require.Fail(t, "no answer")
	return Info{}
}

// TestNothingIsPublishedInDoubt: whatever the peer says and whatever deadline passes, and over restarts.
func TestNothingIsPublishedInDoubt(t *testing.T) {
	t.Parallel()
	expired := newAdd(1, 0).GetExpiry() + DefaultPolicy().TimeoutGrace
	for name, c := range map[string]struct {
		said     any
		withheld string
	}{
		"error of the peer": {&wire.Error{Data: []byte("go away")}, "go away"},
		"overdue HTLC":      {Height{Height: expired}, "expired"},
		"peer from the future": {
			&wire.ChannelReestablish{NextCommitment: 900, CurrentPoint: newSigner(t, 1).NodeKey()}, "next_commitment_number is 900",
		},
	} {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprint(name, restart), func(t *testing.T) {
				t.Parallel()
				p, h := doubtful(t)
				require.True(t, described(t, h).Doubted)
				if restart {
					h.restart()
				}
				p.connect()
				for h.step() {
				}
				h.takeReleased()
				for range 2 {
					if m, ok := c.said.(wire.Message); ok {
						h.tell(Received{Link: p.link, Message: m})
					} else {
						h.tell(c.said)
					}
				}
				for h.step() {
				}
				require.Empty(t, h.refused)
				require.Equal(t, pb.Phase_NORMAL, h.state.phase)
				var said []string
				for _, e := range h.takeReleased() {
					_, published := e.(Publish)
					require.False(t, published)
					if w, ok := e.(Withheld); ok {
						said = append(said, w.Reason)
					}
				}
				require.Len(t, said, 1, "it is said once")
				require.Contains(t, said[0], c.withheld)
				require.Contains(t, described(t, h).Withheld, c.withheld)

				h.tell(ForceClose{})
				h.step()
				var refusal *Refusal
				require.ErrorAs(t, h.refused[0], &refusal)
				require.Equal(t, pb.RefusalCode_DOUBTED, refusal.Code)
				h.restart()
				require.False(t, publishes(h.takeReleased()))
			})
		}
	}
}

// TestThePeerDispelsTheDoubt: it shows that it knows of nothing newer, and from then on all is as ever, over restarts too.
func TestThePeerDispelsTheDoubt(t *testing.T) {
	t.Parallel()
	p, h := doubtful(t)
	p.finish()
	require.False(t, described(t, h).Doubted)
	h.restart()
	require.False(t, described(t, h).Doubted)
	h.tell(ForceClose{})
	h.step()
	require.Equal(t, pb.Phase_CLOSING, h.state.phase)
	require.True(t, publishes(h.takeReleased()))

	// What is published is never revoked: a copy that is made now may publish it too.
	p.disconnect()
	h.core.Doubt++
	h.restart()
	require.True(t, publishes(h.takeReleased()))
}

// TestTheMonitorHearsOfDoubts: it publishes commitments of its own accord.
func TestTheMonitorHearsOfDoubts(t *testing.T) {
	t.Parallel()
	p, h := doubtful(t)
	var told []uint64
	p.other = func(int, durable.Envelope) {}
	p.connect()
	for range 20 {
		for h.step() {
		}
		for _, e := range h.takeSent() {
			if u, ok := e.Body.(*pb.MonitorUpdate); ok && u.GetVouched() > 0 {
				told = append(told, u.GetVouched())
			}
		}
		p.turn(1)
		p.deliver(1)
		for _, e := range h.takeReleased() {
			if w, ok := e.(SendWire); ok && w.Link == p.link {
				p.wires[0] = append(p.wires[0], overWire(t, w.Message))
			}
		}
		p.deliver(0)
	}
	h.tell(ForceClose{})
	h.step()
	for _, e := range h.takeSent() {
		told = append(told, e.Body.(*pb.MonitorUpdate).GetVouched())
	}
	require.Equal(t, []uint64{1, forGood}, told)
}

// TestAFundingSpentInDoubt: the channel is over, and our commitment stays where it is all the same.
func TestAFundingSpentInDoubt(t *testing.T) {
	t.Parallel()
	p, h := doubtful(t)
	commitment, err := p.hosts[1].state.c.latest(p.hosts[1].state.c.Active[0], p.hosts[1].core.Signer)
	require.NoError(t, err)
	h.tell(FundingSpent{Tx: commitment})
	for h.step() {
	}
	require.Equal(t, pb.Phase_CLOSING, h.state.phase)
	h.tell(publishNow{})
	for h.step() {
	}
	require.True(t, described(t, h).Doubted)
	h.restart()
	h.tell(ForceClose{})
	for h.step() {
	}
	require.False(t, publishes(h.takeReleased()))
}

// TestARestoredCopyPublishesNothingRevoked: X1. At any moment an old copy takes the channel's place; what it publishes then,
// however it is tempted, is nothing that the channel has revoked.
func TestARestoredCopyPublishesNothingRevoked(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := openDoubtable(t)
		h := p.hosts[0]
		amounts := rapid.SampledFrom([]wire.MilliSatoshi{999, 999_999, 50_000_000, 200_000_000})
		live := func() {
			for range rapid.IntRange(1, 12).Draw(t, "steps") {
				i := rapid.IntRange(0, 1).Draw(t, "side")
				switch rapid.IntRange(0, 7).Draw(t, "kind") {
				case 0, 1:
					p.add(i, amounts.Draw(t, "amount"))
				case 2:
					p.resolve(i, rapid.SampledFrom([]string{"fulfil", "fail"}).Draw(t, "resolution"))
				case 3:
					p.disconnect()
				case 4:
					p.connect()
				case 5:
					p.turn(i)
					p.deliver(i)
				default:
					p.rest()
				}
			}
		}
		live()
		copied := proto.CloneOf(h.core.Snapshot(h.state).(*pb.Snapshot))
		live()
		peer := p.hosts[1]

		rec, err := record.Encode(copied)
		require.NoError(t, err)
		h.snapshot, h.events, h.inbox = &rec, nil, nil
		p.wires, p.other = [2][]wire.Message{}, func(int, durable.Envelope) {}
		h.takeReleased()
		h.takeSent()
		p.doubt(0)
		for range rapid.IntRange(1, 15).Draw(t, "temptations") {
			switch rapid.IntRange(0, 7).Draw(t, "temptation") {
			case 0:
				h.tell(ForceClose{})
			case 1:
				h.tell(Height{Height: 900_000})
			case 2:
				h.tell(Received{Link: p.link, Message: &wire.Error{Data: []byte("no")}})
			case 3:
				h.restart()
				p.disconnect()
			case 4:
				p.disconnect()
			case 5:
				p.connect()
			default: // the peer says where it stands, as the connection lets it
				for peer.step() {
				}
				for _, e := range peer.takeReleased() {
					if w, ok := e.(SendWire); ok && w.Link == p.link && p.link != 0 {
						h.tell(Received{Link: p.link, Message: overWire(t, w.Message)})
					}
				}
			}
			for h.step() {
			}
			h.takeSent()
			for _, e := range h.takeReleased() {
				if publish, ok := e.(Publish); ok {
					number, is := h.state.c.Active[0].Funding.CommitmentNumber(publish.Tx)
					require.True(t, is)
					require.GreaterOrEqual(t, number, peer.state.c.RemoteNumber, "the peer can punish commitment %d", number)
				}
			}
		}
	})
}
