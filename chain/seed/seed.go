// Package seed keeps the one secret that every key of a node comes from: 16 bytes of chance and a birthday. Users know it
// as the 24 words of an aezeed, which are lnd's too; on disk it is encrypted under a passphrase.
package seed

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/btcsuite/btcd/btcutil/hdkeychain"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/lightningnetwork/lnd/aezeed"
	"github.com/lightningnetwork/lnd/keychain"
)

// Errors that callers decide on. They arrive wrapped.
var (
	// ErrWords: the words are not the words of a seed.
	ErrWords = errors.New("the words are not those of a seed")
	// ErrWordsPassphrase: the words were enciphered with another passphrase, or with none.
	ErrWordsPassphrase = errors.New("the words have another passphrase")
)

// EntropySize is how many bytes of chance are in a seed.
const EntropySize = aezeed.EntropySize

// Words is how many words stand for a seed.
const Words = aezeed.NumMnemonicWords

// Seed is the secret.
type Seed struct{ *aezeed.CipherSeed }

// New makes a seed that is born now, of the given chance, which is drawn if it is nil.
func New(entropy *[EntropySize]byte, now time.Time) (Seed, error) {
	s, err := aezeed.New(keychain.CurrentKeyDerivationVersion, entropy, now)
	if err != nil {
		return Seed{}, fmt.Errorf("make a seed: %w", err)
	}
	return Seed{s}, nil
}

// ToWords enciphers the seed with a passphrase, which may be empty. The same seed has other words each time.
func (s Seed) ToWords(passphrase []byte) (words []string, enciphered []byte, err error) {
	bytes, err := s.Encipher(passphrase)
	if err != nil {
		return nil, nil, fmt.Errorf("encipher the seed: %w", err)
	}
	mnemonic, err := s.ToMnemonic(passphrase)
	if err != nil {
		return nil, nil, fmt.Errorf("encipher the seed: %w", err)
	}
	return mnemonic[:], bytes[:], nil
}

// FromWords is the inverse of ToWords. The error is ErrWords or ErrWordsPassphrase.
func FromWords(words []string, passphrase []byte) (Seed, error) {
	if len(words) != Words {
		return Seed{}, fmt.Errorf("%w: there are %d of them, a seed has %d", ErrWords, len(words), Words)
	}
	var mnemonic aezeed.Mnemonic
	for i, word := range words {
		word = strings.ToLower(strings.TrimSpace(word))
		if _, known := aezeed.ReverseWordMap[word]; !known {
			return Seed{}, fmt.Errorf("%w: word %d is not in the list", ErrWords, i+1)
		}
		mnemonic[i] = word
	}
	s, err := mnemonic.ToCipherSeed(passphrase)
	switch {
	case errors.Is(err, aezeed.ErrInvalidPass):
		return Seed{}, ErrWordsPassphrase
	case err != nil:
		return Seed{}, fmt.Errorf("%w: %w", ErrWords, err)
	case s.InternalVersion > keychain.CurrentKeyDerivationVersion:
		return Seed{}, fmt.Errorf("%w: they are of version %d, this program knows %d",
			ErrWords, s.InternalVersion, keychain.CurrentKeyDerivationVersion)
	}
	return Seed{s}, nil
}

// Master is the master key that the seed gives on a network (BIP 32).
func (s Seed) Master(network *chaincfg.Params) (*hdkeychain.ExtendedKey, error) {
	master, err := hdkeychain.NewMaster(s.Entropy[:], network)
	if err != nil {
		return nil, fmt.Errorf("derive the master key: %w", err)
	}
	return master, nil
}
