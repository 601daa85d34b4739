package channel

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	pb "stormcell/messages/channel"
)

// largestCommit is a little less than what one transaction of the journal holds, in bytes.
const largestCommit = 2_300_000

// TestCommitsStaySmall: a peer that fails as many HTLCs as there can be, each with the longest reason that a message holds,
// does not make a commit that the journal refuses. There may be as many the other way.
func TestCommitsStaySmall(t *testing.T) {
	t.Parallel()
	f := newFixture()
	f.capacity, f.pushed = 100_000_000, 50_000_000
	for i := range f.terms {
		f.terms[i].MaxAcceptedHTLCs, f.terms[i].MaxHTLCValueInFlight = maxHTLCs, msat(f.capacity)
	}
	p := newPair(rapid.TB(t), f)
	p.connect()
	p.rest()
	for _, h := range p.hosts {
		h.quick = true
	}
	for range maxHTLCs {
		p.add(0, 2_000_000)
	}
	p.rest()
	h := p.hosts[0]
	for _, in := range p.pending[1] {
		p.hosts[1].deliver(resolver, &pb.FailHTLC{Id: in.GetId(), Reason: bytes.Repeat([]byte{1}, 65_000)})
	}
	for moved := true; moved; {
		for moved = p.turn(1) || p.deliver(1); h.step(); {
			size := proto.Size(h.core.Snapshot(h.state))
			for _, e := range h.takeSent() {
				size += proto.Size(e.Body)
				if failed, ok := e.Body.(*pb.HTLCFailed); ok {
					require.Equal(t, bytes.Repeat([]byte{1}, maxReason), failed.GetReason())
					p.asked[failed.GetTag()].outcome = "failed"
				}
			}
			require.Less(t, size, largestCommit/2)
			moved = true
		}
		for _, e := range h.takeReleased() {
			p.wires[0] = append(p.wires[0], overWire(t, e.(SendWire).Message))
		}
		moved = p.deliver(0) || moved
	}
	require.True(t, h.state.c.clean())
	for _, pay := range p.asked {
		require.Equal(t, "failed", pay.outcome)
	}
}
