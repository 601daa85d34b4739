package wire

import (
	"bytes"
	"io"

	"github.com/btcsuite/btcd/btcutil"
)

// The closing messages are not lnwire's, because that reads scripts of 34 bytes at most, where later segwit versions
// take 42 and the OP_RETURN scripts of option_simple_close take 83, and because its closing_signed has no fee range.

// Shutdown begins a cooperative close (BOLT 2, "Closing Initiation: `shutdown`").
type Shutdown struct {
	ChanID ChannelID
	// Script is where the sender wants its funds. The codec takes any.
	Script []byte
}

func (m *Shutdown) fields() []field {
	return []field{fixed(m.ChanID[:]), bytes16(&m.Script), tail{}}
}

// Encode writes the message without its type.
func (m *Shutdown) Encode(w *bytes.Buffer, _ uint32) error { return encode(w, m.fields()...) }

// Decode reads the message without its type.
func (m *Shutdown) Decode(r io.Reader, _ uint32) error { return decode(r, m.fields()...) }

// MsgType is TypeShutdown.
func (m *Shutdown) MsgType() MessageType { return TypeShutdown }

// TargetChanID is the channel the message is about.
func (m *Shutdown) TargetChanID() ChannelID { return m.ChanID }

// ClosingSigned proposes a fee and signs for it (BOLT 2, "Legacy Closing Negotiation: `closing_signed`").
type ClosingSigned struct {
	ChanID    ChannelID
	Fee       btcutil.Amount
	Signature Sig
	// FeeRange is what the sender would accept; nil if it does not say. Some nodes close a channel over its absence.
	FeeRange *FeeRange
}

// FeeRange bounds a closing fee, both ends included.
type FeeRange struct {
	Min, Max btcutil.Amount
}

func (m *ClosingSigned) fields() []field {
	return []field{
		fixed(m.ChanID[:]), amount{&m.Fee}, signature{&m.Signature},
		tail{optional(1, &m.FeeRange, func(r *FeeRange) []field { return []field{amount{&r.Min}, amount{&r.Max}} })},
	}
}

// Encode writes the message without its type.
func (m *ClosingSigned) Encode(w *bytes.Buffer, _ uint32) error { return encode(w, m.fields()...) }

// Decode reads the message without its type.
func (m *ClosingSigned) Decode(r io.Reader, _ uint32) error { return decode(r, m.fields()...) }

// MsgType is TypeClosingSigned.
func (m *ClosingSigned) MsgType() MessageType { return TypeClosingSigned }

// TargetChanID is the channel the message is about.
func (m *ClosingSigned) TargetChanID() ChannelID { return m.ChanID }

// ClosingProposal is what closing_complete and closing_sig share: a closing transaction, and signatures for the forms
// it may take.
type ClosingProposal struct {
	ChanID ChannelID
	// CloserScript belongs to the sender of closing_complete, who pays the fee; CloseeScript to the other.
	CloserScript []byte
	CloseeScript []byte
	Fee          btcutil.Amount
	LockTime     uint32
	// One signature per form of the transaction: with the closer's output alone, with the closee's alone, with both.
	// nil for a form that is not signed.
	CloserOnly *Sig
	CloseeOnly *Sig
	Both       *Sig
}

func (p *ClosingProposal) fields() []field {
	one := func(s *Sig) []field { return []field{signature{s}} }
	return []field{
		fixed(p.ChanID[:]), bytes16(&p.CloserScript), bytes16(&p.CloseeScript), amount{&p.Fee}, num(&p.LockTime),
		tail{optional(1, &p.CloserOnly, one), optional(2, &p.CloseeOnly, one), optional(3, &p.Both, one)},
	}
}

// Encode writes the message without its type.
func (p *ClosingProposal) Encode(w *bytes.Buffer, _ uint32) error { return encode(w, p.fields()...) }

// Decode reads the message without its type.
func (p *ClosingProposal) Decode(r io.Reader, _ uint32) error { return decode(r, p.fields()...) }

// TargetChanID is the channel the message is about.
func (p *ClosingProposal) TargetChanID() ChannelID { return p.ChanID }

// ClosingComplete offers a closing transaction (BOLT 2, "Closing Negotiation: `closing_complete` and `closing_sig`").
type ClosingComplete struct{ ClosingProposal }

// MsgType is TypeClosingComplete.
func (m *ClosingComplete) MsgType() MessageType { return TypeClosingComplete }

// ClosingSig signs one form of an offered closing transaction.
type ClosingSig struct{ ClosingProposal }

// MsgType is TypeClosingSig.
func (m *ClosingSig) MsgType() MessageType { return TypeClosingSig }
