// Package onion wraps, peels and answers the onions of BOLT 4: what a payer tells every node on a route, and what a node
// says when the payment fails there. The cryptography is lightning-onion's; this package is the one door to it.
//
// It keeps no memory of onions seen. Replays are the business of whoever holds the HTLC: the same HTLC may be peeled any
// number of times, after a restart for instance, and always gives the same answer.
package onion

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"
	sphinx "github.com/lightningnetwork/lightning-onion"
	"github.com/lightningnetwork/lnd/lnwire"
)

const (
	// Size of an onion in `update_add_htlc`, in bytes.
	Size = lnwire.OnionPacketSize
	// MaxHops is the most nodes that an onion can have payloads for.
	MaxHops = sphinx.NumMaxHops
)

// Packet is an onion as it travels.
type Packet [Size]byte

// Secret is what one node on a route and the payer share. It opens the node's payload and closes its failures.
type Secret [32]byte

// ECDH is SHA256 of the compressed product of the node's private key and a point.
type ECDH func(point *btcec.PublicKey) ([32]byte, error)

// Hop is a node on a route, and what it is told.
type Hop struct {
	Key     *btcec.PublicKey
	Payload Payload
}

// ErrRoute refuses a route that no onion can be made for: empty, too many hops, too long payloads.
var ErrRoute = errors.New("no onion for this route")

// Build wraps the payloads of a route, payer's peer first, in an onion for an HTLC with the payment hash. It depends on
// nothing else: the same call gives the same onion. A session key is for one onion only. The error is ErrRoute.
func Build(session *btcec.PrivateKey, route []Hop, hash [32]byte) (Packet, error) {
	layers := make([]layer, len(route))
	for i, hop := range route {
		payload, err := hop.Payload.encode(i == len(route)-1)
		if err != nil {
			return Packet{}, fmt.Errorf("%w: hop %d: %w", ErrRoute, i, err)
		}
		layers[i] = layer{hop.Key, payload}
	}
	return wrap(session, layers, hash)
}

// layer is an encoded payload and who can read it.
type layer struct {
	key     *btcec.PublicKey
	payload []byte
}

func wrap(session *btcec.PrivateKey, layers []layer, hash [32]byte) (Packet, error) {
	if len(layers) == 0 || len(layers) > MaxHops {
		return Packet{}, fmt.Errorf("%w: %d hops, want 1 to %d", ErrRoute, len(layers), MaxHops)
	}
	var path sphinx.PaymentPath
	for i, l := range layers {
		if l.key == nil {
			return Packet{}, fmt.Errorf("%w: hop %d has no key", ErrRoute, i)
		}
		path[i] = sphinx.OnionHop{
			NodePub:    *l.key,
			HopPayload: sphinx.HopPayload{Type: sphinx.PayloadTLV, Payload: l.payload},
		}
	}
	sealed, err := sphinx.NewOnionPacket(&path, session, hash[:], sphinx.DeterministicPacketFiller)
	if err != nil {
		return Packet{}, fmt.Errorf("%w: %w", ErrRoute, err)
	}
	return encode(sealed)
}

func encode(p *sphinx.OnionPacket) (packet Packet, err error) {
	var w bytes.Buffer
	if err := p.Encode(&w); err != nil {
		return packet, fmt.Errorf("encode an onion: %w", err)
	}
	if n := copy(packet[:], w.Bytes()); n != Size || w.Len() != Size {
		return packet, fmt.Errorf("encode an onion: %d bytes instead of %d", w.Len(), Size)
	}
	return packet, nil
}

// Peeled is what a node finds in an onion.
type Peeled struct {
	// Secret is for the failure that this node may have to send.
	Secret  Secret
	Payload Payload
	// Final: the route ends here. Otherwise Next goes to the next node.
	Final bool
	Next  Packet
}

// Peel opens an onion that came with an HTLC of that payment hash. The error is *Malformed if the onion cannot be read,
// and *PayloadError if what this node is told makes no sense; any other error says that ECDH failed, and nothing about
// the onion.
func Peel(ecdh ECDH, packet []byte, hash [32]byte) (*Peeled, error) {
	var parsed sphinx.OnionPacket
	if len(packet) != Size {
		return nil, malformed(lnwire.CodeInvalidOnionVersion, packet, fmt.Errorf("%d bytes, want %d", len(packet), Size))
	}
	if err := parsed.Decode(bytes.NewReader(packet)); err != nil {
		return nil, malformed(codeOf(err), packet, err)
	}
	key := &nodeKey{ecdh: ecdh}
	opened, err := sphinx.NewRouter(key, sphinx.NewNoOpReplayLog()).ReconstructOnionPacket(
		&parsed, hash[:], sphinx.WithTLVPayloadOnly())
	switch {
	case key.err != nil:
		return nil, fmt.Errorf("peel an onion: %w", key.err)
	case errors.Is(err, sphinx.ErrInvalidOnionHMAC), errors.Is(err, sphinx.ErrInvalidOnionKey):
		return nil, malformed(codeOf(err), packet, err)
	case err != nil: // the payload's length
		return nil, &PayloadError{Secret: key.secret, Reason: err.Error()}
	}
	p := &Peeled{Secret: key.secret, Final: opened.Action == sphinx.ExitNode}
	if p.Payload, err = ParsePayload(opened.Payload.Payload, p.Final); err != nil {
		var invalid *PayloadError
		if errors.As(err, &invalid) {
			invalid.Secret = key.secret
		}
		return nil, err
	}
	if !p.Final {
		if p.Next, err = encode(opened.NextPacket); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// nodeKey gives lightning-onion this node's half of ECDH, and remembers what came out, so that it is done once.
type nodeKey struct {
	ecdh   ECDH
	secret Secret
	err    error
}

// ECDH implements sphinx.SingleKeyECDH.
func (k *nodeKey) ECDH(point *btcec.PublicKey) ([32]byte, error) {
	secret, err := k.ecdh(point)
	k.secret, k.err = secret, err
	return secret, err
}

// PubKey implements sphinx.SingleKeyECDH. Peeling needs no public key.
func (k *nodeKey) PubKey() *btcec.PublicKey { return nil }
