package bolt3

import (
	"github.com/btcsuite/btcd/btcec/v2"

	"stormcell/chain/keys"
)

// prepared are the keys of the commitment with that per-commitment point.
type prepared struct {
	point *btcec.PublicKey
	keys  keys.CommitmentKeys
}

// Prepare derives the keys of the broadcaster's commitment with a per-commitment point, which is half of the work of
// Commitment: they are known long before it is to be built. What was prepared for the same side before is forgotten. It tells
// whether there was something to do. It must not run beside another call for the same side.
func (c *Channel) Prepare(broadcaster Side, point *btcec.PublicKey) bool {
	if c.isPrepared(broadcaster, point) {
		return false
	}
	c.next[broadcaster] = prepared{point, c.derive(keys.ForCommitment, broadcaster, point)}
	return true
}

func (c *Channel) isPrepared(broadcaster Side, point *btcec.PublicKey) bool {
	known := c.next[broadcaster].point
	return known != nil && known.IsEqual(point)
}

// keysOf gives the keys of a commitment, those of HTLC outputs only if it has such.
func (c *Channel) keysOf(broadcaster Side, point *btcec.PublicKey, htlcs bool) keys.CommitmentKeys {
	switch {
	case c.isPrepared(broadcaster, point):
		k := c.next[broadcaster].keys
		if !htlcs {
			k.BroadcasterHTLC, k.CountersignerHTLC = nil, nil
		}
		return k
	case htlcs:
		return c.derive(keys.ForCommitment, broadcaster, point)
	default:
		return c.derive(keys.ForEmptyCommitment, broadcaster, point)
	}
}

type derivation func(broadcaster, countersigner keys.Basepoints, point *btcec.PublicKey) keys.CommitmentKeys

func (c *Channel) derive(keysFor derivation, broadcaster Side, point *btcec.PublicKey) keys.CommitmentKeys {
	return keysFor(c.Parties[broadcaster].Basepoints, c.Parties[broadcaster.Other()].Basepoints, point)
}
