package keys

import (
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil/hdkeychain"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/lightningnetwork/lnd/keychain"
)

// ErrIndexTooHigh refuses a key index of 2^31 or more: those are the hardened half of the tree, which is not used.
var ErrIndexTooHigh = errors.New("key index is not below 2^31")

// families are the branches of the tree that this node uses.
var families = []keychain.KeyFamily{
	keychain.KeyFamilyMultiSig,
	keychain.KeyFamilyRevocationBase,
	keychain.KeyFamilyHtlcBase,
	keychain.KeyFamilyPaymentBase,
	keychain.KeyFamilyDelayBase,
	keychain.KeyFamilyRevocationRoot,
	keychain.KeyFamilyNodeKey,
}

// CoinType is the coin in the path of a network's keys: 0 on mainnet, 1 on every test network.
func CoinType(network *chaincfg.Params) uint32 {
	if network.Net == chaincfg.MainNetParams.Net {
		return keychain.CoinTypeBitcoin
	}
	return keychain.CoinTypeTestnet
}

// tree holds the extended private keys m/1017'/coin'/family'/0, by family.
type tree map[keychain.KeyFamily]*hdkeychain.ExtendedKey

// newTree derives the branches from the master key.
//
// btcwallet derives hardened children of a key that begins with a zero byte in a way of its own, though only while that
// key has not been stored yet: it holds for the coin, and for the account it makes together with the coin, which is the
// first. The same is done here, or one seed in 128 would have other keys than a btcwallet made from it.
func newTree(master *hdkeychain.ExtendedKey, coinType uint32) (tree, error) {
	if !master.IsPrivate() {
		return nil, errors.New("derive keys: the master key is not private")
	}
	purpose, err := deriveAsBtcwallet(master, keychain.BIP0043Purpose)
	if err != nil {
		return nil, fmt.Errorf("derive keys of purpose %d: %w", keychain.BIP0043Purpose, err)
	}
	coin, err := deriveAsBtcwallet(purpose, coinType)
	if err != nil {
		return nil, fmt.Errorf("derive keys of coin %d: %w", coinType, err)
	}
	t := make(tree, len(families))
	for _, family := range families {
		var account *hdkeychain.ExtendedKey
		if family == keychain.KeyFamilyMultiSig {
			account, err = deriveAsBtcwallet(coin, uint32(family))
		} else {
			account, err = coin.Derive(hdkeychain.HardenedKeyStart + uint32(family))
		}
		if err != nil {
			return nil, fmt.Errorf("derive keys of family %d: %w", family, err)
		}
		if t[family], err = account.Derive(0); err != nil {
			return nil, fmt.Errorf("derive the branch of family %d: %w", family, err)
		}
		// An extended key keeps its public key once computed; doing so now makes it safe for concurrent use.
		if _, err := t[family].ECPubKey(); err != nil {
			return nil, fmt.Errorf("derive the branch of family %d: %w", family, err)
		}
	}
	return t, nil
}

func deriveAsBtcwallet(parent *hdkeychain.ExtendedKey, hardened uint32) (*hdkeychain.ExtendedKey, error) {
	//lint:ignore SA1019 newTree says why
	return parent.DeriveNonStandard(hdkeychain.HardenedKeyStart + hardened)
}

// private derives the key at one index of a family. It is safe for concurrent use.
func (t tree) private(family keychain.KeyFamily, index uint32) (*btcec.PrivateKey, error) {
	branch, ok := t[family]
	if !ok {
		return nil, fmt.Errorf("derive a key: family %d is not in use", family)
	}
	if index >= hdkeychain.HardenedKeyStart {
		return nil, fmt.Errorf("derive key %d of family %d: %w", index, family, ErrIndexTooHigh)
	}
	child, err := branch.Derive(index)
	if err != nil {
		return nil, fmt.Errorf("derive key %d of family %d: %w", index, family, err)
	}
	key, err := child.ECPrivKey()
	if err != nil {
		return nil, fmt.Errorf("derive key %d of family %d: %w", index, family, err)
	}
	return key, nil
}
