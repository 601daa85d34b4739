package channel

import (
	"bytes"
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/lightningnetwork/lnd/lnwire"

	"stormcell/chain/curve"
	pb "stormcell/messages/channel"
	"stormcell/peer/wire"
)

// Forwarding is what the peer wants for forwarding HTLCs to us. Invoices that lead payers to an unannounced channel say so.
type Forwarding struct {
	Disabled         bool // it forwards nothing now
	CLTVDelta        uint16
	FeeBase          wire.MilliSatoshi
	FeePerMillion    uint32
	Minimum, Maximum wire.MilliSatoshi // of one HTLC
}

func forwardingOf(f *pb.Forwarding) *Forwarding {
	if f == nil {
		return nil
	}
	return &Forwarding{
		Disabled: f.GetDisabled(), CLTVDelta: uint16(f.GetCltvDelta()), FeeBase: wire.MilliSatoshi(f.GetFeeBaseMsat()),
		FeePerMillion: f.GetFeePerMillion(), Minimum: wire.MilliSatoshi(f.GetHtlcMinimumMsat()),
		Maximum: wire.MilliSatoshi(f.GetHtlcMaximumMsat()),
	}
}

// forwardingReceived takes the peer's `channel_update`, if it is about this channel and newer than what is known (BOLT 7, "The
// channel_update Message"). Every channel with the peer is shown it.
func (t *turn) forwardingReceived(m *wire.ChannelUpdate) error {
	if isOpening(t.phase) || !t.isNamed(m.ShortChannelID) || !t.isByPeer(m) ||
		m.Timestamp <= t.setup.GetForwarding().GetTimestamp() || m.HtlcMaximumMsat < m.HtlcMinimumMsat {
		return nil
	}
	if err := verifyUpdate(m, t.peer); err != nil {
		return violation("channel_update: %w", err)
	}
	t.event(&pb.ForwardingChanged{Forwarding: &pb.Forwarding{
		Timestamp: m.Timestamp, Disabled: m.ChannelFlags.IsDisabled(), CltvDelta: uint32(m.TimeLockDelta),
		FeeBaseMsat: m.BaseFee, FeePerMillion: m.FeeRate,
		HtlcMinimumMsat: uint64(m.HtlcMinimumMsat), HtlcMaximumMsat: uint64(m.HtlcMaximumMsat),
	}})
	return nil
}

// isNamed tells whether the peer knows this channel under a short id: the real one, or the alias that we gave it.
func (t *turn) isNamed(id wire.ShortChannelID) bool {
	scid := id.ToUint64()
	return scid != 0 && (scid == t.setup.GetScid() || scid == t.setup.GetLocalAlias())
}

// isByPeer tells whether an update speaks for the peer's direction of the channel: the first node is the one with the lesser
// key.
func (t *turn) isByPeer(m *wire.ChannelUpdate) bool {
	self := t.Signer.NodeKey().SerializeCompressed()
	second := bytes.Compare(t.peer[:], self) > 0
	return second == (m.ChannelFlags&lnwire.ChanUpdateDirection != 0)
}

// verifyUpdate checks that a node signed an update: the double SHA256 of all that follows the signature.
func verifyUpdate(m *wire.ChannelUpdate, node [33]byte) error {
	key, err := btcec.ParsePubKey(node[:])
	if err != nil {
		return fmt.Errorf("key of the node: %w", err)
	}
	signed, err := m.DataToSign()
	if err != nil {
		return fmt.Errorf("encode what is signed: %w", err)
	}
	if !curve.Verify(key, chainhash.DoubleHashB(signed), curve.Signature(m.Signature.RawBytes())) {
		return ErrNotSigned
	}
	return nil
}
