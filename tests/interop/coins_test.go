package interop_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/stretchr/testify/require"

	"stormcell/tests/interop/node"
)

func TestCoinsOnBtcd(t *testing.T) {
	t.Parallel()
	chain := node.StartBtcd(t)
	coinsWork(t, chain, node.StartStormcell(t, chain))
}

func TestCoinsOnTheLightClient(t *testing.T) {
	t.Parallel()
	chain := node.StartBtcd(t)
	coinsWork(t, chain, node.StartLightStormcell(t, chain))
}

// coinsWork pays to a node and lets it pay, kills it while it does so, and takes everything out in the end.
func coinsWork(t *testing.T, chain *node.Server, ours *node.Lightning) {
	const funded, paid = 2_000_000, 100_000
	ours.Fund(chain, funded)
	txid := requireSent(t, ours, &lnrpc.SendCoinsRequest{Addr: nobodysAddress(t), Amount: paid, SatPerVbyte: 3, Label: "first"})
	require.Eventually(t, func() bool { return chain.InMempool(txid) }, patience, 50*time.Millisecond)
	chain.Mine(1)
	awaitBooks(t, chain, ours, funded)

	// What a payment came to when its caller lost the node is in the list of transactions; nothing stays set aside.
	for i := range 6 {
		sending := make(chan struct{})
		go func() {
			defer close(sending)
			_, _ = ours.SendCoins(ours.Context(), &lnrpc.SendCoinsRequest{ // the call may end with the node
				Addr: nobodysAddress(t), Amount: paid, SatPerVbyte: 3, Label: fmt.Sprint("killed ", i),
			})
		}()
		select {
		case <-sending:
		case <-time.After(time.Duration(i*i) * 4 * time.Millisecond):
		}
		ours.Kill()
		<-sending
		ours.Start()
	}
	awaitBooks(t, chain, ours, funded)

	txid = requireSent(t, ours, &lnrpc.SendCoinsRequest{Addr: nobodysAddress(t), SendAll: true, SatPerVbyte: 3})
	require.Eventually(t, func() bool { return chain.InMempool(txid) }, patience, 50*time.Millisecond)
	chain.Mine(1)
	awaitBooks(t, chain, ours, funded)
	require.Zero(t, balanceOf(t, ours).TotalBalance)
	ours.Stop()
}

func requireSent(t *testing.T, from *node.Lightning, request *lnrpc.SendCoinsRequest) chainhash.Hash {
	t.Helper()
	var sent *lnrpc.SendCoinsResponse
	require.Eventually(t, func() bool { // the wallet refuses while it catches up after a start
		var err error
		sent, err = from.SendCoins(from.Context(), request)
		return err == nil
	}, patience, 100*time.Millisecond)
	txid, err := chainhash.NewHashFromStr(sent.Txid)
	require.NoError(t, err)
	return *txid
}

// awaitBooks mines until all that a node sent is confirmed, and what it has is what it was given less what it sent.
func awaitBooks(t *testing.T, chain *node.Server, ours *node.Lightning, funded int64) {
	t.Helper()
	var said string
	balanced := func() bool {
		info, err := ours.GetInfo(ours.Context(), &lnrpc.GetInfoRequest{})
		require.NoError(t, err)
		list, err := ours.GetTransactions(ours.Context(), &lnrpc.GetTransactionsRequest{EndHeight: -1})
		require.NoError(t, err)
		left, waiting := int64(0), 0
		for _, tx := range list.Transactions {
			left += tx.Amount
			if tx.NumConfirmations == 0 {
				waiting++
			}
		}
		balance := balanceOf(t, ours)
		said = fmt.Sprintf("synced %v, %d transactions wait, %d sat should be left, balance %v",
			info.SyncedToChain, waiting, left, balance)
		if info.SyncedToChain && waiting > 0 {
			chain.Mine(1)
		}
		return info.SyncedToChain && waiting == 0 && left <= funded && balance.ConfirmedBalance == left &&
			balance.LockedBalance == 0 && balance.TotalBalance == left
	}
	deadline := time.After(patience)
	for !balanced() {
		select {
		case <-deadline:
			require.FailNow(t, "the books do not balance", said)
		case <-time.After(500 * time.Millisecond):
		}
	}
}

func balanceOf(t *testing.T, of *node.Lightning) *lnrpc.WalletBalanceResponse {
	t.Helper()
	balance, err := of.WalletBalance(of.Context(), &lnrpc.WalletBalanceRequest{})
	require.NoError(t, err)
	return balance
}

// nobodysAddress is one that no wallet has.
func nobodysAddress(t *testing.T) string {
	t.Helper()
	address, err := btcutil.NewAddressWitnessPubKeyHash(make([]byte, 20), &chaincfg.RegressionNetParams)
	require.NoError(t, err)
	return address.EncodeAddress()
}

// TestTheChainServerGoesAway: the node goes on without it, stops in time, and starts without it.
func TestTheChainServerGoesAway(t *testing.T) {
	t.Parallel()
	const funded = 500_000
	chain := node.StartBtcd(t)
	ours := node.StartStormcell(t, chain)
	ours.Fund(chain, funded)
	awaitBooks(t, chain, ours, funded)
	chain.Stop()
	require.EqualValues(t, funded, balanceOf(t, ours).ConfirmedBalance)
	_, err := ours.NewAddress(ours.Context(), &lnrpc.NewAddressRequest{Type: lnrpc.AddressType_TAPROOT_PUBKEY})
	require.NoError(t, err)
	began := time.Now()
	ours.Stop()
	require.Less(t, time.Since(began), 5*time.Second)

	ours.Start()
	require.EqualValues(t, funded, balanceOf(t, ours).TotalBalance)
	info, err := ours.GetInfo(ours.Context(), &lnrpc.GetInfoRequest{})
	require.NoError(t, err)
	require.False(t, info.SyncedToChain)
	require.Zero(t, info.BlockHeight)
	ours.Stop()
}
