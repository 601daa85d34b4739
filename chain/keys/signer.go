package keys

import (
	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/lightningnetwork/lnd/keychain"
	"github.com/lightningnetwork/lnd/lnwire"
)

// Signer does all that needs the node's private keys. None of them crosses this interface, and all that does is plain
// data, so an implementation may live in another process: calls may block, and may fail because that process is away.
// Everything is deterministic (RFC 6979): the same call has the same answer after a restart. Safe for concurrent use.
//
// A channel is named by its channel key index, a funding key by its own; package keys says how they are given out.
type Signer interface {
	// NodeKey is the node's identity, known from the start.
	NodeKey() *btcec.PublicKey
	// Basepoints are a channel's basepoints.
	Basepoints(channel uint32) (Basepoints, error)
	// FundingKey is the key that goes into a funding output.
	FundingKey(index uint32) (*btcec.PublicKey, error)
	// CommitmentPoint is the per-commitment point of our commitment of that number.
	CommitmentPoint(channel uint32, number uint64) (*btcec.PublicKey, error)
	// ReleaseSecret gives the secret that revokes our commitment of that number. Once the peer has it, publishing that
	// commitment loses the channel's funds: the next commitment must be durable first.
	ReleaseSecret(channel uint32, number uint64) (Secret, error)
	// Sign signs inputs of commitments, HTLC transactions, closing transactions and claims: many at once, and either all
	// or none. The answers are in the order of the requests.
	Sign(requests []SignRequest) ([]lnwire.Sig, error)
	// ECDH is SHA256 of the compressed product of the node's private key and the point (BOLT 8, BOLT 4).
	ECDH(point *btcec.PublicKey) ([32]byte, error)
	// SignGossip signs the double SHA256 of a gossip message's signed part, with the node's key or, for
	// `channel_announcement`, with a funding key (BOLT 7).
	SignGossip(key KeyRef, signed []byte) (lnwire.Sig, error)
	// SignInvoice signs the SHA256 of an invoice's human-readable part and data (BOLT 11). The signature is in btcec's
	// compact form, from which the node's key can be recovered.
	SignInvoice(signed []byte) ([]byte, error)
	// SignMessage signs a text that a user hands in, in lnd's format: the double SHA256 of "Lightning Signed Message:" and
	// the text, in btcec's compact form.
	SignMessage(text []byte) ([]byte, error)
}

// SignRequest asks for a signature over an input with one of our keys.
type SignRequest struct {
	Input
	Key KeyRef
}

// Tweak is how BOLT 3 changes a basepoint's key for one commitment.
type Tweak uint8

const (
	Untweaked       Tweak = iota // the key itself
	CommitmentTweak              // the key for the commitment with the given point
	RevocationTweak              // the key for the commitment revoked by the given secret
)

// KeyRef names one of our private keys. It is comparable.
type KeyRef struct {
	Family keychain.KeyFamily
	Index  uint32 // a funding key index in KeyFamilyMultiSig, else a channel key index
	Tweak  Tweak
	Point  [33]byte // with CommitmentTweak: the per-commitment point, compressed
	Secret Secret   // with RevocationTweak: the secret that the peer revealed
}

// NodeKeyRef names the node's identity.
func NodeKeyRef() KeyRef { return KeyRef{Family: keychain.KeyFamilyNodeKey} }

// FundingKeyRef names the key in a funding output, which the anchor of that side has too.
func FundingKeyRef(index uint32) KeyRef {
	return KeyRef{Family: keychain.KeyFamilyMultiSig, Index: index}
}

// PaymentKeyRef names the key of our output on the peer's commitments.
func PaymentKeyRef(channel uint32) KeyRef {
	return KeyRef{Family: keychain.KeyFamilyPaymentBase, Index: channel}
}

// HTLCKeyRef names our key in the HTLC outputs of either side's commitment with that per-commitment point.
func HTLCKeyRef(channel uint32, point *btcec.PublicKey) KeyRef {
	return tweaked(keychain.KeyFamilyHtlcBase, channel, point)
}

// DelayedKeyRef names the key of our delayed outputs on our commitment with that per-commitment point, and on its HTLC
// transactions.
func DelayedKeyRef(channel uint32, point *btcec.PublicKey) KeyRef {
	return tweaked(keychain.KeyFamilyDelayBase, channel, point)
}

// RevocationKeyRef names the key that takes the outputs of the peer's commitment which that secret revoked.
func RevocationKeyRef(channel uint32, secret Secret) KeyRef {
	return KeyRef{Family: keychain.KeyFamilyRevocationBase, Index: channel, Tweak: RevocationTweak, Secret: secret}
}

func tweaked(family keychain.KeyFamily, channel uint32, point *btcec.PublicKey) KeyRef {
	ref := KeyRef{Family: family, Index: channel, Tweak: CommitmentTweak}
	copy(ref.Point[:], point.SerializeCompressed())
	return ref
}
