package wallet_test

import (
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/btcutil/hdkeychain"
	"github.com/btcsuite/btcd/btcutil/psbt"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"github.com/stretchr/testify/require"

	"stormcell/chain/backend"
	"stormcell/chain/wallet"
)

// knownWords are a seed for tests: the same keys each time.
const knownWords = "able tuition deliver loan question huge blade once shrimp pigeon pilot adult " +
	"joy quick cat assume north vault sister moment blood hammer age tortoise"

// TestAddresses compares with addresses that are derived here from the master key, as BIP 84 and BIP 86 say.
func TestAddresses(t *testing.T) {
	t.Parallel()
	seed, err := wallet.RestoreSeed(strings.Fields(knownWords), nil)
	require.NoError(t, err)
	dir := t.TempDir()
	w := open(t, seed, dir)
	for _, branch := range wallet.Branches() {
		known, err := w.Known(branch)
		require.NoError(t, err)
		require.Zero(t, known)
		for _, index := range []uint32{4, 0, 5} {
			address, err := w.Address(branch, index)
			require.NoError(t, err)
			require.Equal(t, derive(t, seed, branch, index), address.EncodeAddress(), "%d/%d", branch, index)
		}
		known, err = w.Known(branch)
		require.NoError(t, err)
		require.EqualValues(t, 6, known)
	}
	require.NoError(t, w.Close())

	again := open(t, seed, dir)
	known, err := again.Known(wallet.ChangeTaproot)
	require.NoError(t, err)
	require.EqualValues(t, 6, known)
	require.NoError(t, again.Close())

	_, err = wallet.Open(wallet.Config{Network: backend.Regtest, Seed: newSeed(t), Dir: dir})
	require.ErrorIs(t, err, wallet.ErrForeignCache)
	again = open(t, seed, dir) // it was let go of
	require.NoError(t, again.Close())
}

func TestWalletWithoutAChain(t *testing.T) {
	t.Parallel()
	w := open(t, newSeed(t), t.TempDir())
	coins, err := w.Coins()
	require.NoError(t, err)
	require.Empty(t, coins)
	_, synced := w.SyncedTo()
	require.False(t, synced)
	_, err = w.Publish(t.Context(), wire.NewMsgTx(2), "")
	require.Error(t, err)

	packet := funded(t)
	signed, err := w.Sign(packet)
	require.NoError(t, err)
	require.Zero(t, signed, "nothing of it is ours")
	_, _, err = wallet.Extract(packet)
	require.ErrorIs(t, err, wallet.ErrIncomplete)

	packet.Inputs[1].WitnessUtxo = nil
	_, err = w.Sign(packet)
	require.ErrorIs(t, err, wallet.ErrUnknownInput)
	packet.Inputs[1].NonWitnessUtxo = wire.NewMsgTx(2)
	_, err = w.Sign(packet)
	require.ErrorIs(t, err, wallet.ErrUnknownInput)
	require.NoError(t, w.Close())
}

func TestFundMakesWhatWasSelected(t *testing.T) {
	t.Parallel()
	packet := funded(t)
	fee, err := packet.GetTxFee()
	require.NoError(t, err)
	tx := packet.UnsignedTx
	require.EqualValues(t, 77, tx.LockTime)
	require.Len(t, tx.TxIn, 2)
	require.Len(t, tx.TxOut, 2)
	require.Less(t, tx.TxOut[0].Value, tx.TxOut[1].Value, "in the order of BIP 69")
	for i, in := range tx.TxIn {
		require.EqualValues(t, 0xfffffffd, in.Sequence)
		if txscript.IsPayToTaproot(packet.Inputs[i].WitnessUtxo.PkScript) {
			require.Equal(t, txscript.SigHashDefault, packet.Inputs[i].SighashType)
		} else {
			require.Equal(t, txscript.SigHashAll, packet.Inputs[i].SighashType)
		}
	}
	require.Positive(t, fee)
}

// funded is a PSBT of two coins that are nobody's.
func funded(t *testing.T) *psbt.Packet {
	t.Helper()
	taproot := coin(2, 30_000)
	taproot.Script = p2tr
	p := payment(40_000)
	selection, err := wallet.Select([]wallet.Coin{coin(1, 30_000), taproot}, nil, tip, regtest, p)
	require.NoError(t, err)
	packet, err := wallet.Fund(p, selection, 77)
	require.NoError(t, err)
	fee, err := packet.GetTxFee()
	require.NoError(t, err)
	require.Equal(t, selection.Fee, fee)
	return packet
}

func open(t *testing.T, seed wallet.Seed, dir string) *wallet.Wallet {
	t.Helper()
	w, err := wallet.Open(wallet.Config{Network: backend.Regtest, Seed: seed, Dir: dir})
	require.NoError(t, err)
	return w
}

func derive(t *testing.T, seed wallet.Seed, branch wallet.Branch, index uint32) string {
	t.Helper()
	purpose, row := uint32(84), uint32(0)
	if branch == wallet.ReceiveTaproot || branch == wallet.ChangeTaproot {
		purpose = 86
	}
	if branch == wallet.ChangeWitness || branch == wallet.ChangeTaproot {
		row = 1
	}
	key, err := seed.Master(backend.Regtest)
	require.NoError(t, err)
	const hard = hdkeychain.HardenedKeyStart
	for _, step := range []uint32{hard + purpose, hard, hard, row, index} {
		key, err = key.Derive(step)
		require.NoError(t, err)
	}
	public, err := key.ECPubKey()
	require.NoError(t, err)
	if purpose == 84 {
		address, err := btcutil.NewAddressWitnessPubKeyHash(btcutil.Hash160(public.SerializeCompressed()), regtest)
		require.NoError(t, err)
		return address.EncodeAddress()
	}
	return taproot(t, public)
}

func taproot(t *testing.T, key *btcec.PublicKey) string {
	t.Helper()
	address, err := btcutil.NewAddressTaproot(
		schnorr.SerializePubKey(txscript.ComputeTaprootKeyNoScript(key)), regtest)
	require.NoError(t, err)
	return address.EncodeAddress()
}
