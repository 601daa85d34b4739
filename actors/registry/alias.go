package registry

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"

	"github.com/lightningnetwork/lnd/lnwire"
)

// firstAlias is where the short ids begin that can be no place in a chain for a long time: block 16,000,000, where other
// implementations put their aliases too. Ours are spread over 2^48 of them, which is 256 blocks.
var firstAlias = lnwire.ShortChannelID{BlockHeight: 16_000_000}.ToUint64()

// AliasKey is the node's secret that its aliases come from: who does not know it cannot tell which aliases there are.
type AliasKey [32]byte

// Alias is the short channel id that we have the peer use for the channel with that key index, before the funding is
// confirmed and in place of its real one (BOLT 2, "The `channel_ready` Message"). No two channels of the node share one: it is
// a permutation of the indexes, a Feistel network of four rounds.
func (k AliasKey) Alias(keyIndex uint32) uint64 {
	const half, mask = 24, 1<<24 - 1
	left, right := keyIndex>>half, keyIndex&mask
	for round := range byte(4) {
		left, right = right, left^k.mix(round, right)&mask
	}
	return firstAlias + uint64(left)<<half + uint64(right)
}

// mix is the round function.
func (k AliasKey) mix(round byte, half uint32) uint32 {
	h := hmac.New(sha256.New, k[:])
	h.Write(binary.BigEndian.AppendUint32([]byte{round}, half))
	return binary.BigEndian.Uint32(h.Sum(nil))
}
