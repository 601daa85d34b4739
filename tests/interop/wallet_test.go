package interop_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"github.com/stretchr/testify/require"

	"stormcell/chain/backend"
	"stormcell/chain/backend/rpc"
	"stormcell/chain/wallet"
	"stormcell/tests/interop/node"
)

func TestWalletOnBtcd(t *testing.T) {
	t.Parallel()
	server := node.StartBtcd(t)
	source, err := rpc.DialBtcd(t.Context(), server.Config())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, source.Stop()) })
	walletWorks(t, server, source)
}

func TestWalletOnTheLightClient(t *testing.T) {
	t.Parallel()
	server := node.StartBtcd(t)
	source := startLight(t, t.TempDir(), server)
	t.Cleanup(func() { require.NoError(t, source.Stop()) })
	walletWorks(t, server, source)
}

func TestWalletOnBitcoind(t *testing.T) {
	t.Parallel()
	server := node.StartBitcoind(t)
	source, err := rpc.DialBitcoind(t.Context(), server.Config())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, source.Stop()) })
	walletWorks(t, server, source)
}

// walletWorks funds a wallet, spends from it, deletes its cache and finds everything again from the seed.
func walletWorks(t *testing.T, server *node.Server, source wallet.Source) {
	seed, err := wallet.NewSeed(time.Now())
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "wallet")
	w := openWallet(t, seed, dir)
	require.NoError(t, w.Follow(t.Context(), source))
	syncedTo(t, w, server.Mine(1))

	// Coins of both kinds, one of them at an address above some that were never paid.
	witness, taproot := addressScript(t, w, wallet.ReceiveWitness, 0), addressScript(t, w, wallet.ReceiveTaproot, 7)
	gift := server.Pay(witness, 300_000)
	require.NoError(t, w.Label(gift.TxHash(), "gift")) // of which the wallet has not heard
	publish(t, server, gift)
	publish(t, server, server.Pay(taproot, 200_000))
	syncedTo(t, w, server.Mine(1))
	require.Eventually(t, func() bool { return balance(t, w).Confirmed == 500_000 }, patience, 50*time.Millisecond)

	history, err := w.Transactions()
	require.NoError(t, err)
	labels := map[chainhash.Hash]string{}
	for _, tx := range history {
		labels[tx.TxID] = tx.Label
	}
	require.Len(t, labels, 2)
	require.Equal(t, "gift", labels[gift.TxHash()])

	// A payment that needs both.
	payment := wallet.Payment{
		Outputs: []*wire.TxOut{wire.NewTxOut(450_000, nobodys)}, FeeRate: 1000,
		ChangeScript: addressScript(t, w, wallet.ChangeTaproot, 0), MinConfirmations: 1,
	}
	tx, selection := pay(t, w, payment)
	require.Len(t, tx.TxIn, 2)
	requireValid(t, tx, selection.Inputs)
	require.Eventually(t, func() bool { return server.InMempool(tx.TxHash()) }, patience, 50*time.Millisecond)
	require.Equal(t, wallet.Balance{Unconfirmed: selection.Change}, balance(t, w))
	syncedTo(t, w, server.Mine(1))
	want := wallet.Balance{Confirmed: selection.Change}
	require.Eventually(t, func() bool { return balance(t, w) == want }, patience, 50*time.Millisecond)

	// The change can be spent, and what is spent stays so.
	payment.Outputs[0].Value = 10_000
	payment.ChangeScript = addressScript(t, w, wallet.ChangeWitness, 0)
	tx, selection = pay(t, w, payment)
	again, err := w.Publish(t.Context(), tx, "again")
	require.NoError(t, err)
	require.True(t, again.Ok(), again)
	tip := server.Mine(1)
	syncedTo(t, w, tip)
	want = wallet.Balance{Confirmed: selection.Change}
	require.Eventually(t, func() bool { return balance(t, w) == want }, patience, 50*time.Millisecond)
	require.NoError(t, w.Close())

	// The same seed in a new directory.
	restored := openWallet(t, seed, filepath.Join(t.TempDir(), "restored"))
	require.NoError(t, restored.Follow(t.Context(), source))
	syncedTo(t, restored, tip)
	require.Equal(t, want, balance(t, restored))
	for branch, known := range map[wallet.Branch]uint32{
		wallet.ReceiveWitness: 1, wallet.ReceiveTaproot: 8, wallet.ChangeTaproot: 1, wallet.ChangeWitness: 1,
	} {
		got, err := restored.Known(branch)
		require.NoError(t, err)
		require.Equal(t, known, got, branch)
	}
	require.NoError(t, restored.Close())

	// The old cache goes on where it was.
	tip = server.Mine(2)
	old := openWallet(t, seed, dir)
	require.NoError(t, old.Follow(t.Context(), source))
	syncedTo(t, old, tip)
	require.Equal(t, want, balance(t, old))
	require.NoError(t, old.Close())
}

// pay makes, signs and publishes a payment.
func pay(t *testing.T, w *wallet.Wallet, p wallet.Payment) (*wire.MsgTx, wallet.Selection) {
	t.Helper()
	coins, err := w.Coins()
	require.NoError(t, err)
	at, _ := w.SyncedTo()
	selection, err := wallet.Select(coins, nil, at.Height, &chaincfg.RegressionNetParams, p)
	require.NoError(t, err)
	packet, err := wallet.Fund(p, selection, at.Height)
	require.NoError(t, err)
	signed, err := w.Sign(packet)
	require.NoError(t, err)
	require.Equal(t, len(selection.Inputs), signed)
	tx, fee, err := wallet.Extract(packet)
	require.NoError(t, err)
	require.Equal(t, selection.Fee, fee)
	result, err := w.Publish(t.Context(), tx, "a payment")
	require.NoError(t, err)
	require.True(t, result.Ok(), result)
	return tx, selection
}

// requireValid runs the scripts of a transaction that spends the coins.
func requireValid(t *testing.T, tx *wire.MsgTx, coins []wallet.Coin) {
	t.Helper()
	spent := make(map[wire.OutPoint]*wire.TxOut)
	for _, coin := range coins {
		spent[coin.OutPoint] = wire.NewTxOut(int64(coin.Amount), coin.Script)
	}
	outputs := txscript.NewMultiPrevOutFetcher(spent)
	hashes := txscript.NewTxSigHashes(tx, outputs)
	for i, in := range tx.TxIn {
		out := spent[in.PreviousOutPoint]
		engine, err := txscript.NewEngine(
			out.PkScript, tx, i, txscript.StandardVerifyFlags, nil, hashes, out.Value, outputs)
		require.NoError(t, err)
		require.NoError(t, engine.Execute())
	}
}

func openWallet(t *testing.T, seed wallet.Seed, dir string) *wallet.Wallet {
	t.Helper()
	w, err := wallet.Open(wallet.Config{Network: backend.Regtest, Seed: seed, Dir: dir})
	require.NoError(t, err)
	return w
}

func addressScript(t *testing.T, w *wallet.Wallet, branch wallet.Branch, index uint32) []byte {
	t.Helper()
	address, err := w.Address(branch, index)
	require.NoError(t, err)
	script, err := txscript.PayToAddrScript(address)
	require.NoError(t, err)
	return script
}

func balance(t *testing.T, w *wallet.Wallet) wallet.Balance {
	t.Helper()
	coins, err := w.Coins()
	require.NoError(t, err)
	at, _ := w.SyncedTo()
	return wallet.BalanceOf(coins, nil, at.Height, &chaincfg.RegressionNetParams)
}

func syncedTo(t *testing.T, w *wallet.Wallet, tip backend.BlockRef) {
	t.Helper()
	require.Eventually(t, func() bool {
		at, synced := w.SyncedTo()
		return synced && at == tip
	}, patience, 20*time.Millisecond)
}
