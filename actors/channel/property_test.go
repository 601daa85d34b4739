package channel

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"stormcell/actors/durable"
	"stormcell/chain/fees"
	"stormcell/chain/keys"
	pb "stormcell/messages/channel"
	"stormcell/peer/wire"
)

// pair is a channel between two hosts, with wires that lose what is on them when the connection breaks.
type pair struct {
	t     rapid.TB
	hosts [2]*host
	link  uint64 // 0 while there is no connection
	links uint64
	wires [2][]wire.Message // from host i to the other

	tags    uint64
	asked   map[uint64]*payment
	pending [2][]*pb.IncomingHTLC // irrevocable at host i, not resolved
	met     map[[3]int]bool       // on host i's view of an owner's commitment, a side has had its reserve
	paid    [2]wire.MilliSatoshi  // settled HTLCs that host i offered
	crossed bool                  // a fee rate may cross HTLCs and take the opener below its reserve

	features wire.Features

	world func(i int, e durable.Effect) bool // takes effects beyond the wire
	other func(i int, e durable.Envelope)    // takes messages to others than users, resolvers and monitors
}

// payment is an HTLC that a user asked for.
type payment struct {
	host    int
	amount  wire.MilliSatoshi
	claimed bool
	outcome string
}

func newPair(t rapid.TB, f fixture) *pair {
	cores := [2]*Core{newCore(t, 1), newCore(t, 2)}
	commitments := f.commitments(t, cores)
	p := &pair{t: t, asked: map[uint64]*payment{}, met: map[[3]int]bool{}}
	for i := range p.hosts {
		p.hosts[i] = newHost(t, "channel/test", cores[i], &pb.Snapshot{
			Phase: pb.Phase_NORMAL, Commitments: commitments[i].proto(), Setup: &pb.Setup{Scid: 1, RemoteReady: true, LocalAlias: 5},
		})
		p.hosts[i].takeReleased()
	}
	return p
}

func (p *pair) connect() {
	if p.link == 0 {
		p.links++
		p.link = p.links
		for _, h := range p.hosts {
			h.tell(Connected{Link: p.link, Features: p.features})
		}
	}
}

func (p *pair) disconnect() {
	if p.link != 0 {
		for i, h := range p.hosts {
			h.tell(Disconnected{Link: p.link})
			p.wires[i] = nil
		}
		p.link = 0
	}
}

// turn lets host i take one message, and sees to what comes of it.
func (p *pair) turn(i int) bool {
	h := p.hosts[i]
	moved := h.step()
	require.Empty(p.t, h.refused, "between honest peers nothing is refused")
	for _, e := range h.takeSent() {
		p.hear(i, e)
	}
	for _, e := range h.takeReleased() {
		switch e := e.(type) {
		case SendWire:
			require.NotContains(p.t, []wire.MessageType{wire.TypeError, wire.TypeWarning}, e.Message.MsgType(), "%v", e.Message)
			if e.Link == p.link && p.link != 0 {
				p.wires[i] = append(p.wires[i], overWire(p.t, e.Message))
			}
		case Hangup:
			p.t.Fatalf("host %d hangs up: %v", i, e.Reason)
		case durable.Reply:
		case WatchFunding:
			if p.world != nil {
				p.world(i, e)
			}
		default:
			require.True(p.t, p.world != nil && p.world(i, e), "host %d releases %T", i, e)
		}
	}
	if h.state.c != nil && !p.crossed {
		p.checkReserves(i)
	}
	return moved
}

// hear notes what host i tells its users.
func (p *pair) hear(i int, e durable.Envelope) {
	end := func(tag uint64, outcome string) {
		pay := p.asked[tag]
		require.Equal(p.t, i, pay.host)
		require.Empty(p.t, pay.outcome, "tag %d ended before", tag)
		pay.outcome = outcome
	}
	switch body := e.Body.(type) {
	case *pb.HTLCRefused:
		end(body.GetTag(), "refused")
	case *pb.HTLCSettled:
		preimage := preimageFor(body.GetTag())
		require.Equal(p.t, preimage[:], body.GetPreimage())
		end(body.GetTag(), "settled")
		p.paid[i] += p.asked[body.GetTag()].amount
	case *pb.HTLCFailed:
		end(body.GetTag(), "failed")
	case *pb.IncomingHTLC:
		p.pending[i] = append(p.pending[i], body)
	case *pb.MonitorUpdate:
	default:
		require.NotNil(p.t, p.other, "host %d sends %T", i, body)
		p.other(i, e)
	}
}

// checkReserves: a side that once had its reserve keeps it, on both commitments of host i's view.
func (p *pair) checkReserves(i int) {
	c := p.hosts[i].state.c
	for _, on := range []struct {
		owner Side
		v     view
	}{{Local, localLatest}, {Remote, remoteLatest}} {
		t := c.tally(c.Active[0], on.owner, on.v, nil)
		for _, s := range []Side{Local, Remote} {
			keep := c.reserve(s)
			if c.pays() == s {
				keep += cost(t.rate, t.untrimmed)
			}
			where := [3]int{i, int(on.owner), int(s)}
			if t.balance[s] >= keep {
				p.met[where] = true
			} else {
				require.False(p.t, p.met[where], "on %s commitment at host %d the %s side has %v and must keep %v",
					on.owner, i, s, t.balance[s], keep)
			}
		}
	}
}

func (p *pair) deliver(i int) bool {
	if len(p.wires[i]) == 0 {
		return false
	}
	m := p.wires[i][0]
	p.wires[i] = p.wires[i][1:]
	if open, ok := m.(*wire.OpenChannel); ok {
		p.hosts[1-i].tell(p.incoming(open))
	} else {
		p.hosts[1-i].tell(Received{Link: p.link, Message: m})
	}
	return true
}

// rest lets everything happen that can.
func (p *pair) rest() {
	for n, moved := 0, true; moved; n++ {
		require.Less(p.t, n, 100_000, "does not come to rest")
		moved = false
		for i := range p.hosts {
			moved = p.turn(i) || moved
			moved = p.deliver(i) || moved
		}
	}
}

func (p *pair) add(i int, amount wire.MilliSatoshi) {
	p.tags++
	p.asked[p.tags] = &payment{host: i, amount: amount}
	p.hosts[i].deliver(user, newAdd(p.tags, amount))
}

// resolve ends one of the HTLCs that wait at host i.
func (p *pair) resolve(i int, how string) {
	if len(p.pending[i]) == 0 {
		return
	}
	in := p.pending[i][0]
	p.pending[i] = p.pending[i][1:]
	switch how {
	case "fulfil", "fulfil twice":
		for tag := uint64(1); tag <= p.tags; tag++ {
			if hash := hashFor(tag); bytes.Equal(hash[:], in.GetPaymentHash()) {
				preimage := preimageFor(tag)
				p.asked[tag].claimed = true
				for range len(how) / len("fulfil") {
					p.hosts[i].deliver(resolver, &pb.FulfillHTLC{Id: in.GetId(), Preimage: preimage[:]})
				}
			}
		}
	case "fail":
		p.hosts[i].deliver(resolver, &pb.FailHTLC{Id: in.GetId(), Reason: []byte("no way")})
	case "malformed":
		p.hosts[i].deliver(resolver, &pb.FailMalformedHTLC{Id: in.GetId(), Malformed: &pb.Malformed{
			OnionHash: make([]byte, 32), Code: 0x8004}})
	}
}

// agree: each side's latest commitment is what the other signed.
func (p *pair) agree() {
	for i := range p.hosts {
		own, other := p.hosts[i].state.c, p.hosts[1-i].state.c
		require.False(p.t, other.Awaiting)
		require.Equal(p.t, own.LocalNumber, other.RemoteNumber)
		p.agreeOn(i, own, other)
	}
}

// agreeOn compares what host i holds on each funding with what the other signed.
func (p *pair) agreeOn(i int, own, other *Commitments) {
	for n, a := range own.Active {
		b := other.Active[n]
		mine, err := own.localCommitment(a, own.LocalNumber, localLatest, p.hosts[i].core.Signer)
		require.NoError(p.t, err)
		require.NoError(p.t, mine.Verify(a.Signature, a.HTLCSignatures, keys.Sequential))
		theirs, err := b.Funding.Commitment(other.role(Remote), other.spec(b, Remote, other.RemoteNumber, remoteLatest), other.RemotePoint)
		require.NoError(p.t, err)
		require.Equal(p.t, mine.TxID, theirs.TxID)
	}
}

func TestTwoSidesAgree(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f := newFixture()
		if rapid.Bool().Draw(t, "nothing pushed") {
			f.pushed = 0
		}
		if rapid.IntRange(0, 3).Draw(t, "two fundings") == 0 {
			f.added = 200_000
		}
		p := newPair(t, f)
		p.connect()
		side := rapid.IntRange(0, 1)
		amounts := rapid.SampledFrom([]wire.MilliSatoshi{1, 999, 353_999, 354_000, 999_999, 1_000_000, 50_000_000, 200_000_000})
		resolutions := rapid.SampledFrom([]string{"fulfil", "fulfil", "fulfil twice", "fail", "malformed"})
		steps := rapid.IntRange(1, 120).Draw(t, "steps")
		for range steps {
			i := side.Draw(t, "side")
			switch kind := rapid.IntRange(0, 31).Draw(t, "kind"); {
			case kind < 6:
				p.turn(i)
			case kind < 12:
				p.deliver(i)
			case kind < 18:
				p.add(i, amounts.Draw(t, "amount"))
			case kind < 20:
				// What it says holds as long as nothing comes in between.
				s := p.hosts[i].state
				for p.turn(i) {
				}
				if s.synced {
					room := s.c.room(&p.hosts[i].core.Policy)
					parts := min(wire.MilliSatoshi(rapid.IntRange(1, 483).Draw(t, "parts")), wire.MilliSatoshi(room.HTLCs))
					for range parts {
						amount := above(room.Sendable, (parts-1)*room.PerHTLC) / parts
						if amount == 0 {
							break
						}
						p.add(i, amount)
						p.turn(i)
						require.Empty(t, p.asked[p.tags].outcome, "it said it could send %v in %d HTLCs", room.Sendable, parts)
					}
				}
			case kind < 24:
				p.resolve(i, resolutions.Draw(t, "resolution"))
			case kind == 24:
				p.fee(fees.SatPerKW(rapid.IntRange(253, 6_000).Draw(t, "fee rate")))
			case kind == 25:
				p.disconnect()
			case kind == 26:
				p.hosts[i].restart()
				p.disconnect()
			case kind == 27:
				p.connect()
			case kind == 28:
				p.hosts[i].fire(patience)
			case kind > 29: // a fee that may not come to be signed
				p.fee(fees.SatPerKW(rapid.IntRange(253, 6_000).Draw(t, "fee rate")))
				p.deliver(0)
				p.turn(1)
				p.disconnect()
			default:
				p.rest()
			}
		}
		p.finish()
	})
}

// fee has the opener change the fee rate. It may refuse.
func (p *pair) fee(rate fees.SatPerKW) {
	s := p.hosts[0].state
	if s.synced && s.c.checkFee(rate, &p.hosts[0].core.Policy) == nil && len(p.hosts[0].mailbox) == 0 {
		p.hosts[0].tell(SetFeeRate{Rate: rate})
		p.turn(0)
	}
}

// finish brings everything to its end and looks at the books.
func (p *pair) finish() {
	p.connect()
	p.rest()
	p.agree()
	for p.pending[0] != nil || p.pending[1] != nil {
		for i := range p.hosts {
			for len(p.pending[i]) > 0 {
				p.resolve(i, "fulfil")
			}
			p.pending[i] = nil
		}
		p.rest()
	}
	p.agree()
	for tag, pay := range p.asked {
		require.NotEmpty(p.t, pay.outcome, "tag %d has no outcome", tag)
		require.Equal(p.t, pay.claimed, pay.outcome == "settled", "tag %d was %s", tag, pay.outcome)
	}
	for i, h := range p.hosts {
		require.True(p.t, h.state.c.clean(), fmt.Sprint(h.state.c.proto()))
		require.Empty(p.t, h.inbox)
		require.Equal(p.t, p.paid[i], h.state.c.Sent)
		require.Equal(p.t, p.paid[1-i], h.state.c.Received)
	}
}
