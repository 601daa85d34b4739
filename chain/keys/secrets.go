package keys

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/lightningnetwork/lnd/input"
	"github.com/lightningnetwork/lnd/shachain"
)

// MaxCommitments is how many commitments a side can have, 2^48: their numbers have 48 bits.
const MaxCommitments = 1 << 48

var (
	// ErrNoSuchCommitment refuses a commitment number that does not fit in 48 bits.
	ErrNoSuchCommitment = errors.New("commitment number is not below 2^48")
	// ErrSecretNotNext refuses a secret that is not the one to be revealed next.
	ErrSecretNotNext = errors.New("per-commitment secret is not the next one")
	// ErrSecretNotDerivable refuses a secret that does not come from the same seed as the earlier ones. The peer breaks
	// the protocol.
	ErrSecretNotDerivable = errors.New("per-commitment secret does not fit the earlier ones")
	// ErrSecretUnknown answers for a commitment that has not been revoked.
	ErrSecretUnknown = errors.New("per-commitment secret is not revealed")
)

// Secret is a per-commitment secret: revealing it revokes the commitment.
type Secret [32]byte

// Point is the per-commitment point of the secret. It equals no valid point when the secret is no valid private key.
func (s Secret) Point() *btcec.PublicKey { return input.ComputeCommitmentPoint(s[:]) }

// String keeps secrets out of logs.
func (s Secret) String() string { return "per-commitment secret" }

// RevealedSecrets are the per-commitment secrets that the peer has revealed, from commitment 0 on without a gap, in space
// that grows with the logarithm of their number (BOLT 3, "Efficient Per-commitment Secret Storage").
type RevealedSecrets struct {
	store shachain.RevocationStore
	count uint64
}

// NewRevealedSecrets gives a store without secrets.
func NewRevealedSecrets() *RevealedSecrets {
	return &RevealedSecrets{store: *shachain.NewRevocationStore()}
}

// Count is how many secrets are revealed, and so the number of the oldest commitment that is not revoked.
func (r *RevealedSecrets) Count() uint64 { return r.count }

// Check tells whether Add would accept the secret, and changes nothing.
func (r *RevealedSecrets) Check(number uint64, secret Secret) error {
	trial := *r
	return trial.Add(number, secret)
}

// Add takes the secret of the oldest commitment that is not revoked. It fails with ErrSecretNotNext or
// ErrSecretNotDerivable and then changes nothing. Whether the secret belongs to the per-commitment point that the peer
// gave is for the caller to see, with Secret.Point.
func (r *RevealedSecrets) Add(number uint64, secret Secret) error {
	// The last leaf is the root of the tree: it is never used, and the store has no room for it.
	if number != r.count || number >= MaxCommitments-1 {
		return fmt.Errorf("secret of commitment %d, where %d is next: %w", number, r.count, ErrSecretNotNext)
	}
	if err := r.store.AddNextEntry((*chainhash.Hash)(&secret)); err != nil {
		return fmt.Errorf("secret of commitment %d: %w", number, ErrSecretNotDerivable)
	}
	r.count++
	return nil
}

// Secret gives the secret of a revoked commitment, or ErrSecretUnknown.
func (r *RevealedSecrets) Secret(number uint64) (Secret, error) {
	if number >= r.count {
		return Secret{}, fmt.Errorf("secret of commitment %d, of %d: %w", number, r.count, ErrSecretUnknown)
	}
	secret, err := r.store.LookUp(number)
	if err != nil {
		return Secret{}, fmt.Errorf("secret of commitment %d: %w", number, err)
	}
	return Secret(*secret), nil
}

// The encoding is the one of shachain: the number of buckets, each bucket's tree index and secret, the next tree index.
const (
	bucketSize   = 8 + 32
	maxBuckets   = 48
	firstElement = MaxCommitments - 1 // the tree index of commitment 0
)

// Bytes encodes the store. Stores of the same secrets have the same bytes: 9, and 40 for each bit of their number.
func (r *RevealedSecrets) Bytes() []byte {
	var b bytes.Buffer
	if err := r.store.Encode(&b); err != nil {
		panic(fmt.Sprintf("encode revealed secrets: %v", err)) // a bytes.Buffer takes everything
	}
	return b.Bytes()
}

// ParseRevealedSecrets reads what Bytes wrote. It accepts nothing else.
func ParseRevealedSecrets(data []byte) (*RevealedSecrets, error) {
	count, err := checkRevealedSecrets(data)
	if err != nil {
		return nil, fmt.Errorf("read revealed secrets: %w", err)
	}
	store, err := shachain.NewRevocationStoreFromBytes(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("read revealed secrets: %w", err)
	}
	return &RevealedSecrets{store: *store, count: count}, nil
}

// checkRevealedSecrets gives the number of secrets in an encoded store. The number alone determines how many buckets there
// are and where each stands in the tree, so all of that can be held against it.
func checkRevealedSecrets(data []byte) (count uint64, err error) {
	if len(data) == 0 || data[0] > maxBuckets || len(data) != 1+int(data[0])*bucketSize+8 {
		return 0, fmt.Errorf("%d bytes are no whole number of buckets", len(data))
	}
	buckets := int(data[0])
	next := binary.BigEndian.Uint64(data[1+buckets*bucketSize:])
	if next > firstElement {
		return 0, fmt.Errorf("next tree index %d is out of range", next)
	}
	count = firstElement - next
	if bits.Len64(count) != buckets {
		return 0, fmt.Errorf("%d buckets for %d secrets", buckets, count)
	}
	for b := range buckets {
		index := binary.BigEndian.Uint64(data[1+b*bucketSize:])
		if want := bucketIndex(next+1, b); index != want {
			return 0, fmt.Errorf("bucket %d stands at tree index %d, not at %d", b, index, want)
		}
	}
	return count, nil
}

// bucketIndex is the lowest tree index from last on that ends in exactly b zero bits: the one that was added to bucket b
// most recently.
func bucketIndex(last uint64, b int) uint64 {
	step := uint64(1) << b
	index := (last + step - 1) &^ (step - 1)
	if index&step == 0 {
		index += step
	}
	return index
}
