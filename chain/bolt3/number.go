package bolt3

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/btcsuite/btcd/wire"
)

// A commitment's number is spread over its locktime and its sequence, each with a byte in front that keeps it from being
// read as a lock.
const (
	lockTimeMark = 0x20 << 24
	sequenceMark = 0x80 << 24
	low24        = 1<<24 - 1
)

// obscuringFactor hides commitment numbers from those who do not know the payment basepoints.
func (c *Channel) obscuringFactor() uint64 {
	h := sha256.New()
	h.Write(c.Parties[Opener].Basepoints.Payment.SerializeCompressed())
	h.Write(c.Parties[Accepter].Basepoints.Payment.SerializeCompressed())
	return binary.BigEndian.Uint64(h.Sum(nil)[24:]) & (1<<48 - 1)
}

// CommitmentNumber reads the number of a commitment of this channel found on the chain. It is false for a transaction that
// is no commitment: one that spends something else, or a closing transaction.
func (c *Channel) CommitmentNumber(tx *wire.MsgTx) (number uint64, ok bool) {
	if len(tx.TxIn) != 1 || tx.TxIn[0].PreviousOutPoint != c.Outpoint {
		return 0, false
	}
	sequence := tx.TxIn[0].Sequence
	if tx.LockTime&^low24 != lockTimeMark || sequence&^low24 != sequenceMark {
		return 0, false
	}
	obscured := uint64(sequence&low24)<<24 | uint64(tx.LockTime&low24)
	return obscured ^ c.obscuringFactor(), true
}
