package mesh

import (
	"fmt"

	"stormcell/actors/durable"
	"stormcell/peer/wire"
)

// onions remembers what was sent over a lane: an HTLC that a signature has covered is the same whenever it is sent again, and no
// two have the same onion (BOLT 2, "Message Retransmission"; BOLT 4, "Packet Structure").
type onions struct {
	unsigned map[htlc]*wire.UpdateAddHTLC
	signed   map[htlc]*wire.UpdateAddHTLC
	of       map[[onionSize]byte]htlc // that are signed
}

const onionSize = len(wire.UpdateAddHTLC{}.OnionBlob)

// htlc names an HTLC in a channel.
type htlc struct {
	channel durable.Address
	by      *node
	id      uint64
}

func newOnions() *onions {
	return &onions{map[htlc]*wire.UpdateAddHTLC{}, map[htlc]*wire.UpdateAddHTLC{}, map[[onionSize]byte]htlc{}}
}

// see takes a message on its way.
func (o *onions) see(addr durable.Address, from *node, m wire.Message) error {
	switch m := m.(type) {
	case *wire.UpdateAddHTLC:
		key := htlc{addr, from, m.ID}
		before, was := o.signed[key]
		switch {
		case !was:
			o.unsigned[key] = m
		case m.OnionBlob != before.OnionBlob, m.PaymentHash != before.PaymentHash, m.Amount != before.Amount, m.Expiry != before.Expiry:
			return fmt.Errorf("HTLC %d of %s is another when it is sent again", m.ID, addr)
		}
	case *wire.CommitSig:
		for key, add := range o.unsigned {
			if key.channel != addr || key.by != from {
				continue
			}
			if other, used := o.of[add.OnionBlob]; used {
				return fmt.Errorf("HTLC %d of %s has the onion of HTLC %d of %s", key.id, addr, other.id, other.channel)
			}
			o.signed[key], o.of[add.OnionBlob] = add, key
			delete(o.unsigned, key)
		}
	}
	return nil
}

// forgetUnsigned: what no signature carried ends with the connection, and its id goes to another HTLC.
func (o *onions) forgetUnsigned() { clear(o.unsigned) }
