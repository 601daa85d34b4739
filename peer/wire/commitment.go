package wire

import (
	"bytes"
	"io"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
)

// StartBatch announces that the next messages for a channel belong together (BOLT 2, "Batching channel messages").
type StartBatch struct {
	ChanID ChannelID
	// Size is how many messages follow: 2 to 20. The codec does not check it, since a wrong size is answered in two
	// ways.
	Size uint16
	// Of is the type of those messages; nil if the sender does not say.
	Of *MessageType
}

func (m *StartBatch) fields() []field {
	return []field{
		fixed(m.ChanID[:]), num(&m.Size),
		tail{optional(1, &m.Of, func(t *MessageType) []field { return []field{num((*uint16)(t))} })},
	}
}

// Encode writes the message without its type.
func (m *StartBatch) Encode(w *bytes.Buffer, _ uint32) error { return encode(w, m.fields()...) }

// Decode reads the message without its type.
func (m *StartBatch) Decode(r io.Reader, _ uint32) error { return decode(r, m.fields()...) }

// MsgType is TypeStartBatch.
func (m *StartBatch) MsgType() MessageType { return TypeStartBatch }

// TargetChanID is the channel the message is about.
func (m *StartBatch) TargetChanID() ChannelID { return m.ChanID }

// CommitSig signs the receiver's next commitment transaction on one funding transaction (BOLT 2, "Committing Updates So
// Far: `commitment_signed`").
type CommitSig struct {
	ChanID    ChannelID
	CommitSig Sig
	// HtlcSigs are in the order of the commitment transaction's HTLC outputs.
	HtlcSigs []Sig
	// FundingTxID names the funding transaction spent; nil where the channel has only one.
	FundingTxID *chainhash.Hash
}

func (m *CommitSig) fields() []field {
	return []field{
		fixed(m.ChanID[:]), signature{&m.CommitSig}, signatures{&m.HtlcSigs},
		tail{optional(1, &m.FundingTxID, hashFields)},
	}
}

// Encode writes the message without its type.
func (m *CommitSig) Encode(w *bytes.Buffer, _ uint32) error { return encode(w, m.fields()...) }

// Decode reads the message without its type.
func (m *CommitSig) Decode(r io.Reader, _ uint32) error { return decode(r, m.fields()...) }

// MsgType is TypeCommitSig.
func (m *CommitSig) MsgType() MessageType { return TypeCommitSig }

// TargetChanID is the channel the message is about.
func (m *CommitSig) TargetChanID() ChannelID { return m.ChanID }

// ChannelReestablish says after a reconnection what its sender has of the channel, and so what the receiver must send
// again (BOLT 2, "Message Retransmission").
type ChannelReestablish struct {
	ChanID ChannelID
	// NextCommitment is the number of the next commitment_signed the sender expects.
	NextCommitment uint64
	// NextRevocation is the number of the next revoke_and_ack the sender expects.
	NextRevocation uint64
	// LastSecret is the last per-commitment secret received; zeros if there is none.
	LastSecret [32]byte
	// CurrentPoint is the sender's current per-commitment point.
	CurrentPoint *btcec.PublicKey
	// NextFunding is a funding transaction whose signing is unfinished; nil if there is none.
	NextFunding *ReestablishFunding
	// CurrentFundingLocked is the last funding transaction the sender saw locked; nil if it does not say.
	CurrentFundingLocked *ReestablishFunding
}

// ReestablishFunding names a funding transaction and what is to be sent again for it.
type ReestablishFunding struct {
	TxID chainhash.Hash
	// Retransmit has RetransmitCommitSig in NextFunding, RetransmitAnnouncement in CurrentFundingLocked.
	Retransmit uint8
}

// Bits of ReestablishFunding.Retransmit.
const (
	RetransmitCommitSig    uint8 = 1 << 0
	RetransmitAnnouncement uint8 = 1 << 0
)

func (f *ReestablishFunding) fields() []field { return []field{fixed(f.TxID[:]), num(&f.Retransmit)} }

func (m *ChannelReestablish) fields() []field {
	return []field{
		fixed(m.ChanID[:]), num(&m.NextCommitment), num(&m.NextRevocation), fixed(m.LastSecret[:]), key{&m.CurrentPoint},
		tail{
			optional(1, &m.NextFunding, (*ReestablishFunding).fields),
			optional(5, &m.CurrentFundingLocked, (*ReestablishFunding).fields),
		},
	}
}

// Encode writes the message without its type.
func (m *ChannelReestablish) Encode(w *bytes.Buffer, _ uint32) error { return encode(w, m.fields()...) }

// Decode reads the message without its type.
func (m *ChannelReestablish) Decode(r io.Reader, _ uint32) error { return decode(r, m.fields()...) }

// MsgType is TypeChannelReestablish.
func (m *ChannelReestablish) MsgType() MessageType { return TypeChannelReestablish }

// TargetChanID is the channel the message is about.
func (m *ChannelReestablish) TargetChanID() ChannelID { return m.ChanID }
