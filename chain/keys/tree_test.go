package keys_test

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcutil/hdkeychain"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcwallet/snacl"
	"github.com/btcsuite/btcwallet/waddrmgr"
	"github.com/btcsuite/btcwallet/wallet"
	"github.com/btcsuite/btcwallet/walletdb"
	_ "github.com/btcsuite/btcwallet/walletdb/bdb"
	"github.com/lightningnetwork/lnd/keychain"
	"github.com/stretchr/testify/require"

	"stormcell/chain/keys"
)

func TestCoinType(t *testing.T) {
	t.Parallel()
	require.Equal(t, uint32(0), keys.CoinType(&chaincfg.MainNetParams))
	for _, network := range []*chaincfg.Params{
		&chaincfg.TestNet3Params, &chaincfg.TestNet4Params, &chaincfg.SigNetParams, &chaincfg.RegressionNetParams,
		&chaincfg.SimNetParams,
	} {
		require.Equal(t, uint32(1), keys.CoinType(network), network.Name)
	}
}

// Half of these seeds have an intermediate key that begins with a zero byte, where btcwallet derives in its own way.
func TestKeysAreThoseOfABtcwalletFromTheSameSeed(t *testing.T) {
	t.Parallel()
	leadingZero := func(path ...uint32) []byte {
		for n := uint32(0); ; n++ {
			seed := make([]byte, hdkeychain.MinSeedBytes)
			binary.BigEndian.PutUint32(seed, n)
			key := masterOf(t, seed)
			for _, step := range path {
				var err error
				key, err = key.Derive(hdkeychain.HardenedKeyStart + step)
				require.NoError(t, err)
			}
			if key.IsAffectedByIssue172() {
				return seed
			}
		}
	}
	for name, seed := range map[string][]byte{
		"zeros":                   make([]byte, hdkeychain.MinSeedBytes),
		"long":                    make([]byte, hdkeychain.MaxSeedBytes),
		"purpose begins with 0":   leadingZero(keychain.BIP0043Purpose),
		"coin type begins with 0": leadingZero(keychain.BIP0043Purpose, keychain.CoinTypeTestnet),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ring := btcwalletKeyRing(t, seed)
			public := func(family keychain.KeyFamily, index uint32) string {
				key, err := ring.DeriveKey(keychain.KeyLocator{Family: family, Index: index})
				require.NoError(t, err)
				return hexOf(key.PubKey)
			}
			signer, err := keys.NewLocalSigner(masterOf(t, seed), keychain.CoinTypeTestnet, keys.Sequential)
			require.NoError(t, err)
			require.Equal(t, public(keychain.KeyFamilyNodeKey, 0), hexOf(signer.NodeKey()))
			for _, index := range []uint32{0, 1, 77} {
				funding, err := signer.FundingKey(index)
				require.NoError(t, err)
				require.Equal(t, public(keychain.KeyFamilyMultiSig, index), hexOf(funding))
				points, err := signer.Basepoints(index)
				require.NoError(t, err)
				require.Equal(t, public(keychain.KeyFamilyRevocationBase, index), hexOf(points.Revocation))
				require.Equal(t, public(keychain.KeyFamilyHtlcBase, index), hexOf(points.HTLC))
				require.Equal(t, public(keychain.KeyFamilyPaymentBase, index), hexOf(points.Payment))
				require.Equal(t, public(keychain.KeyFamilyDelayBase, index), hexOf(points.DelayedPayment))
			}
			// A channel's secrets come from the ECDH of its revocation root and its funding key.
			seedOfSecrets, err := ring.ECDH(
				keychain.KeyDescriptor{KeyLocator: keychain.KeyLocator{Family: keychain.KeyFamilyRevocationRoot, Index: 77}},
				mustFundingKey(t, signer, 77),
			)
			require.NoError(t, err)
			secret, err := signer.ReleaseSecret(77, 5)
			require.NoError(t, err)
			require.Equal(t, atIndex(t, seedOfSecrets, 5), secret)
		})
	}
}

func TestNewLocalSignerWantsAPrivateKey(t *testing.T) {
	t.Parallel()
	public, err := masterOf(t, make([]byte, 16)).Neuter()
	require.NoError(t, err)
	_, err = keys.NewLocalSigner(public, 1, keys.Sequential)
	require.Error(t, err)
}

func init() {
	// The wallets here guard nothing, so their passphrases need no stretching.
	weak := waddrmgr.FastScryptOptions
	waddrmgr.SetSecretKeyGen(func(passphrase *[]byte, _ *waddrmgr.ScryptOptions) (*snacl.SecretKey, error) {
		return snacl.NewSecretKey(passphrase, weak.N, weak.R, weak.P)
	})
}

func btcwalletKeyRing(t *testing.T, seed []byte) keychain.SecretKeyRing {
	loader := wallet.NewLoader(&chaincfg.RegressionNetParams, t.TempDir(), true, 10*time.Second, 0)
	secret := []byte("passphrase")
	w, err := loader.CreateNewWallet(secret, secret, seed, time.Time{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, loader.UnloadWallet()) })
	require.NoError(t, w.Unlock(secret, nil))
	scope := waddrmgr.KeyScope{Purpose: keychain.BIP0043Purpose, Coin: keychain.CoinTypeTestnet}
	require.NoError(t, walletdb.Update(w.Database(), func(tx walletdb.ReadWriteTx) error {
		_, err := w.Manager.NewScopedKeyManager(tx.ReadWriteBucket([]byte("waddrmgr")), scope, waddrmgr.ScopeAddrSchema{
			ExternalAddrType: waddrmgr.WitnessPubKey, InternalAddrType: waddrmgr.WitnessPubKey,
		})
		return err
	}))
	return keychain.NewBtcWalletKeyRing(w, keychain.CoinTypeTestnet)
}
