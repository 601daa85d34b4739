package wire

import (
	"bytes"
	"io"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
)

// SpliceInit proposes to replace the funding transaction (BOLT 2, "The `splice_init` Message").
type SpliceInit struct {
	ChanID ChannelID
	// Contribution is what the sender adds to the channel, in satoshi; negative if it takes out.
	Contribution           btcutil.Amount
	FeeRate                uint32 // sat per 1000 weight
	LockTime               uint32
	FundingKey             *btcec.PublicKey
	RequireConfirmedInputs bool
}

func (m *SpliceInit) fields() []field {
	return []field{
		fixed(m.ChanID[:]), contribution{&m.Contribution}, num(&m.FeeRate), num(&m.LockTime), key{&m.FundingKey},
		tail{flag(requireConfirmedInputs, &m.RequireConfirmedInputs)},
	}
}

// Encode writes the message without its type.
func (m *SpliceInit) Encode(w *bytes.Buffer, _ uint32) error { return encode(w, m.fields()...) }

// Decode reads the message without its type.
func (m *SpliceInit) Decode(r io.Reader, _ uint32) error { return decode(r, m.fields()...) }

// MsgType is TypeSpliceInit.
func (m *SpliceInit) MsgType() MessageType { return TypeSpliceInit }

// TargetChanID is the channel the message is about.
func (m *SpliceInit) TargetChanID() ChannelID { return m.ChanID }

// SpliceAck agrees to a splice (BOLT 2, "The `splice_ack` Message").
type SpliceAck struct {
	ChanID ChannelID
	// Contribution is what the sender adds to the channel, in satoshi; negative if it takes out.
	Contribution           btcutil.Amount
	FundingKey             *btcec.PublicKey
	RequireConfirmedInputs bool
}

func (m *SpliceAck) fields() []field {
	return []field{
		fixed(m.ChanID[:]), contribution{&m.Contribution}, key{&m.FundingKey},
		tail{flag(requireConfirmedInputs, &m.RequireConfirmedInputs)},
	}
}

// Encode writes the message without its type.
func (m *SpliceAck) Encode(w *bytes.Buffer, _ uint32) error { return encode(w, m.fields()...) }

// Decode reads the message without its type.
func (m *SpliceAck) Decode(r io.Reader, _ uint32) error { return decode(r, m.fields()...) }

// MsgType is TypeSpliceAck.
func (m *SpliceAck) MsgType() MessageType { return TypeSpliceAck }

// TargetChanID is the channel the message is about.
func (m *SpliceAck) TargetChanID() ChannelID { return m.ChanID }

// SpliceLocked says that a splice transaction is deep enough in the chain (BOLT 2, "The `splice_locked` Message").
type SpliceLocked struct {
	ChanID ChannelID
	TxID   chainhash.Hash
}

func (m *SpliceLocked) fields() []field {
	return []field{fixed(m.ChanID[:]), fixed(m.TxID[:]), tail{}}
}

// Encode writes the message without its type.
func (m *SpliceLocked) Encode(w *bytes.Buffer, _ uint32) error { return encode(w, m.fields()...) }

// Decode reads the message without its type.
func (m *SpliceLocked) Decode(r io.Reader, _ uint32) error { return decode(r, m.fields()...) }

// MsgType is TypeSpliceLocked.
func (m *SpliceLocked) MsgType() MessageType { return TypeSpliceLocked }

// TargetChanID is the channel the message is about.
func (m *SpliceLocked) TargetChanID() ChannelID { return m.ChanID }
