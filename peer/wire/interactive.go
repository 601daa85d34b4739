package wire

import (
	"bytes"
	"io"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/tlv"
)

// TxAddInput adds an input to the transaction that two peers build (BOLT 2, "The `tx_add_input` Message").
type TxAddInput struct {
	ChanID   ChannelID
	SerialID uint64
	// PrevTx is the serialized transaction whose output is spent. It is empty if SharedInput is set.
	PrevTx []byte
	// PrevIndex is the index of that output.
	PrevIndex uint32
	Sequence  uint32
	// SharedInput is the funding transaction that a splice spends; nil for any other input.
	SharedInput *chainhash.Hash
}

func (m *TxAddInput) fields() []field {
	return []field{
		fixed(m.ChanID[:]), num(&m.SerialID), bytes16(&m.PrevTx), num(&m.PrevIndex), num(&m.Sequence),
		tail{optional(0, &m.SharedInput, hashFields)},
	}
}

// Encode writes the message without its type.
func (m *TxAddInput) Encode(w *bytes.Buffer, _ uint32) error { return encode(w, m.fields()...) }

// Decode reads the message without its type.
func (m *TxAddInput) Decode(r io.Reader, _ uint32) error { return decode(r, m.fields()...) }

// MsgType is TypeTxAddInput.
func (m *TxAddInput) MsgType() MessageType { return TypeTxAddInput }

// TargetChanID is the channel the message is about.
func (m *TxAddInput) TargetChanID() ChannelID { return m.ChanID }

// TxAddOutput adds an output (BOLT 2, "The `tx_add_output` Message").
type TxAddOutput struct {
	ChanID   ChannelID
	SerialID uint64
	Amount   btcutil.Amount
	Script   []byte
}

func (m *TxAddOutput) fields() []field {
	return []field{fixed(m.ChanID[:]), num(&m.SerialID), amount{&m.Amount}, bytes16(&m.Script), tail{}}
}

// Encode writes the message without its type.
func (m *TxAddOutput) Encode(w *bytes.Buffer, _ uint32) error { return encode(w, m.fields()...) }

// Decode reads the message without its type.
func (m *TxAddOutput) Decode(r io.Reader, _ uint32) error { return decode(r, m.fields()...) }

// MsgType is TypeTxAddOutput.
func (m *TxAddOutput) MsgType() MessageType { return TypeTxAddOutput }

// TargetChanID is the channel the message is about.
func (m *TxAddOutput) TargetChanID() ChannelID { return m.ChanID }

// TxRemoveInput takes an input back (BOLT 2, "The `tx_remove_input` and `tx_remove_output` Messages").
type TxRemoveInput struct {
	ChanID   ChannelID
	SerialID uint64
}

func (m *TxRemoveInput) fields() []field {
	return []field{fixed(m.ChanID[:]), num(&m.SerialID), tail{}}
}

// Encode writes the message without its type.
func (m *TxRemoveInput) Encode(w *bytes.Buffer, _ uint32) error { return encode(w, m.fields()...) }

// Decode reads the message without its type.
func (m *TxRemoveInput) Decode(r io.Reader, _ uint32) error { return decode(r, m.fields()...) }

// MsgType is TypeTxRemoveInput.
func (m *TxRemoveInput) MsgType() MessageType { return TypeTxRemoveInput }

// TargetChanID is the channel the message is about.
func (m *TxRemoveInput) TargetChanID() ChannelID { return m.ChanID }

// TxRemoveOutput takes an output back (BOLT 2, "The `tx_remove_input` and `tx_remove_output` Messages").
type TxRemoveOutput struct {
	ChanID   ChannelID
	SerialID uint64
}

func (m *TxRemoveOutput) fields() []field {
	return []field{fixed(m.ChanID[:]), num(&m.SerialID), tail{}}
}

// Encode writes the message without its type.
func (m *TxRemoveOutput) Encode(w *bytes.Buffer, _ uint32) error { return encode(w, m.fields()...) }

// Decode reads the message without its type.
func (m *TxRemoveOutput) Decode(r io.Reader, _ uint32) error { return decode(r, m.fields()...) }

// MsgType is TypeTxRemoveOutput.
func (m *TxRemoveOutput) MsgType() MessageType { return TypeTxRemoveOutput }

// TargetChanID is the channel the message is about.
func (m *TxRemoveOutput) TargetChanID() ChannelID { return m.ChanID }

// TxComplete says that the sender has nothing more to add (BOLT 2, "The `tx_complete` Message").
type TxComplete struct {
	ChanID ChannelID
}

func (m *TxComplete) fields() []field { return []field{fixed(m.ChanID[:]), tail{}} }

// Encode writes the message without its type.
func (m *TxComplete) Encode(w *bytes.Buffer, _ uint32) error { return encode(w, m.fields()...) }

// Decode reads the message without its type.
func (m *TxComplete) Decode(r io.Reader, _ uint32) error { return decode(r, m.fields()...) }

// MsgType is TypeTxComplete.
func (m *TxComplete) MsgType() MessageType { return TypeTxComplete }

// TargetChanID is the channel the message is about.
func (m *TxComplete) TargetChanID() ChannelID { return m.ChanID }

// TxSignatures has the witnesses of the sender's inputs, in the order of their serial ids (BOLT 2, "The `tx_signatures`
// Message").
type TxSignatures struct {
	ChanID    ChannelID
	TxID      chainhash.Hash
	Witnesses []wire.TxWitness
	// SharedInput signs the funding output that a splice spends; nil if there is none.
	SharedInput *Sig
}

func (m *TxSignatures) fields() []field {
	return []field{
		fixed(m.ChanID[:]), fixed(m.TxID[:]), witnesses{&m.Witnesses},
		tail{optional(0, &m.SharedInput, func(s *Sig) []field { return []field{signature{s}} })},
	}
}

// Encode writes the message without its type.
func (m *TxSignatures) Encode(w *bytes.Buffer, _ uint32) error { return encode(w, m.fields()...) }

// Decode reads the message without its type.
func (m *TxSignatures) Decode(r io.Reader, _ uint32) error { return decode(r, m.fields()...) }

// MsgType is TypeTxSignatures.
func (m *TxSignatures) MsgType() MessageType { return TypeTxSignatures }

// TargetChanID is the channel the message is about.
func (m *TxSignatures) TargetChanID() ChannelID { return m.ChanID }

// TxInitRBF starts over with a higher feerate (BOLT 2, "The `tx_init_rbf` Message").
type TxInitRBF struct {
	ChanID   ChannelID
	LockTime uint32
	FeeRate  uint32 // sat per 1000 weight
	// Contribution is what the sender adds to the funding output, in satoshi; nil for none.
	Contribution           *btcutil.Amount
	RequireConfirmedInputs bool
}

func (m *TxInitRBF) fields() []field {
	return []field{
		fixed(m.ChanID[:]), num(&m.LockTime), num(&m.FeeRate),
		tail{optional(0, &m.Contribution, contributionFields), flag(requireConfirmedInputs, &m.RequireConfirmedInputs)},
	}
}

// Encode writes the message without its type.
func (m *TxInitRBF) Encode(w *bytes.Buffer, _ uint32) error { return encode(w, m.fields()...) }

// Decode reads the message without its type.
func (m *TxInitRBF) Decode(r io.Reader, _ uint32) error { return decode(r, m.fields()...) }

// MsgType is TypeTxInitRBF.
func (m *TxInitRBF) MsgType() MessageType { return TypeTxInitRBF }

// TargetChanID is the channel the message is about.
func (m *TxInitRBF) TargetChanID() ChannelID { return m.ChanID }

// TxAckRBF agrees to start over (BOLT 2, "The `tx_ack_rbf` Message").
type TxAckRBF struct {
	ChanID ChannelID
	// Contribution is what the sender adds to the funding output, in satoshi; nil for none.
	Contribution           *btcutil.Amount
	RequireConfirmedInputs bool
}

func (m *TxAckRBF) fields() []field {
	return []field{
		fixed(m.ChanID[:]),
		tail{optional(0, &m.Contribution, contributionFields), flag(requireConfirmedInputs, &m.RequireConfirmedInputs)},
	}
}

// Encode writes the message without its type.
func (m *TxAckRBF) Encode(w *bytes.Buffer, _ uint32) error { return encode(w, m.fields()...) }

// Decode reads the message without its type.
func (m *TxAckRBF) Decode(r io.Reader, _ uint32) error { return decode(r, m.fields()...) }

// MsgType is TypeTxAckRBF.
func (m *TxAckRBF) MsgType() MessageType { return TypeTxAckRBF }

// TargetChanID is the channel the message is about.
func (m *TxAckRBF) TargetChanID() ChannelID { return m.ChanID }

// TxAbort gives the transaction up (BOLT 2, "The `tx_abort` Message").
type TxAbort struct {
	ChanID ChannelID
	// Data says why. It is to be shown only if it is printable ASCII.
	Data []byte
}

func (m *TxAbort) fields() []field {
	return []field{fixed(m.ChanID[:]), bytes16(&m.Data), tail{}}
}

// Encode writes the message without its type.
func (m *TxAbort) Encode(w *bytes.Buffer, _ uint32) error { return encode(w, m.fields()...) }

// Decode reads the message without its type.
func (m *TxAbort) Decode(r io.Reader, _ uint32) error { return decode(r, m.fields()...) }

// MsgType is TypeTxAbort.
func (m *TxAbort) MsgType() MessageType { return TypeTxAbort }

// TargetChanID is the channel the message is about.
func (m *TxAbort) TargetChanID() ChannelID { return m.ChanID }

// requireConfirmedInputs is a record of every message that proposes or accepts a funding contribution.
const requireConfirmedInputs tlv.Type = 2

func hashFields(h *chainhash.Hash) []field { return []field{fixed(h[:])} }

func contributionFields(a *btcutil.Amount) []field { return []field{contribution{a}} }
