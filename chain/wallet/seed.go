package wallet

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/btcsuite/btcd/btcutil/hdkeychain"
	"github.com/lightningnetwork/lnd/aezeed"
	"github.com/lightningnetwork/lnd/keychain"

	"stormcell/chain/backend"
)

var (
	// ErrWrongPassphrase says that a passphrase does not open the seed, or the words.
	ErrWrongPassphrase = errors.New("wrong passphrase")

	// ErrInvalidWords says that the words of a seed are misspelt, missing or in the wrong order.
	ErrInvalidWords = errors.New("these are not the words of a seed")
)

// Seed is what all keys come from. It is secret, and never printed.
type Seed struct{ cipher aezeed.CipherSeed }

// NewSeed makes a seed by chance. Its birthday is now.
func NewSeed(now time.Time) (Seed, error) {
	cipher, err := aezeed.New(keychain.CurrentKeyDerivationVersion, nil, now)
	if err != nil {
		return Seed{}, fmt.Errorf("make a seed: %w", err)
	}
	return Seed{*cipher}, nil
}

// RestoreSeed reads a seed from its 24 words (aezeed). The passphrase is the one that the words were made with; most have none.
// Errors are ErrInvalidWords and ErrWrongPassphrase.
func RestoreSeed(words []string, passphrase []byte) (Seed, error) {
	var mnemonic aezeed.Mnemonic
	if len(words) != len(mnemonic) {
		return Seed{}, fmt.Errorf("%w: a seed has %d words, not %d", ErrInvalidWords, len(mnemonic), len(words))
	}
	copy(mnemonic[:], words)
	cipher, err := mnemonic.ToCipherSeed(passphrase)
	switch {
	case errors.Is(err, aezeed.ErrInvalidPass):
		return Seed{}, fmt.Errorf("read the words of a seed: %w", ErrWrongPassphrase)
	case err != nil:
		return Seed{}, fmt.Errorf("%w: %w", ErrInvalidWords, err)
	}
	return Seed{*cipher}, nil
}

// Words are the 24 words that restore the seed, together with the passphrase; it may be empty. They are secret.
func (s Seed) Words(passphrase []byte) ([]string, error) {
	mnemonic, err := s.cipher.ToMnemonic(passphrase)
	if err != nil {
		return nil, fmt.Errorf("give the words of a seed: %w", err)
	}
	return mnemonic[:], nil
}

// Birthday is when the seed was made, to the day: no coin of it is older.
func (s Seed) Birthday() time.Time { return s.cipher.BirthdayTime() }

// Master is the key from which all others are derived: the wallet's, and the node's by package keys.
func (s Seed) Master(network backend.Network) (*hdkeychain.ExtendedKey, error) {
	master, err := hdkeychain.NewMaster(s.cipher.Entropy[:], network.Params())
	if err != nil {
		return nil, fmt.Errorf("derive the master key: %w", err)
	}
	return master, nil
}

// String keeps the seed out of logs.
func (s Seed) String() string { return "a seed" }

// GoString keeps the seed out of logs.
func (s Seed) GoString() string { return "a seed" }

// cachePassphrase encrypts the cache, so that nobody has to remember another one.
func (s Seed) cachePassphrase() []byte {
	mac := hmac.New(sha256.New, s.cipher.Entropy[:])
	mac.Write([]byte("stormcell wallet cache"))
	return []byte(hex.EncodeToString(mac.Sum(nil)))
}
