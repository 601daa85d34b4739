package ctl

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"github.com/stretchr/testify/require"

	"stormcell/actors/channel"
	coins "stormcell/actors/wallet"
	"stormcell/chain/backend"
	"stormcell/chain/wallet"
	"stormcell/cmd/node/fault"
	pb "stormcell/messages/channel"
)

func TestNewAddress(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	require.Equal(t, witnessAddress+"\n", f.ok(t, "newaddress"))
	require.Equal(t, taprootAddress+"\n", f.ok(t, "newaddress", "--type=p2tr"))
	f.fails(t, fault.Usage, `no addresses of type "p2sh"`, "newaddress", "--type=p2sh")
}

func TestBalanceAndCoins(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	require.Contains(t, f.ok(t, "coins"), "stormcell newaddress")
	require.Equal(t, "WHERE              AMOUNT\nwallet, confirmed   0 sat\nchannels, ours      0 sat\n", f.ok(t, "balance"))

	at := wire.OutPoint{Hash: chainhash.Hash{1}, Index: 12}
	f.coins = []wallet.Coin{
		{OutPoint: at, Amount: btcutil.MaxSatoshi, Script: taprootScript, Height: 1000},
		{OutPoint: at, Amount: 1234, Script: witnessScript},
	}
	f.channels = []channel.Info{
		{Phase: pb.Phase_NORMAL, Local: 5_000_000, Remote: 7_000_000, HTLCs: []channel.HTLCInfo{{Amount: 9000}, {Incoming: true, Amount: 8000}}},
		{Phase: pb.Phase_WAIT_CONFIRMED, Local: 3_000_000},
	}
	require.Equal(t, `WHERE                                             AMOUNT
wallet, confirmed              2,100,000,000,000,000 sat
wallet, unconfirmed                            1,234 sat
channels, ours                                 5,000 sat
channels, the peers'                           6,340 sat
channels, on the way to us                         8 sat
channels, on the way to peers                      9 sat
channels being opened, ours                    3,000 sat
`, f.ok(t, "balance"))
	require.Equal(t, "2,100,000,000,000,000 sat, 1 confirmation\n    "+at.String()+"\n    "+taprootAddress+
		"\n1,234 sat, unconfirmed\n    "+at.String()+"\n    "+witnessAddress+"\n", f.ok(t, "coins"))

	var both struct {
		Wallet   map[string]any `json:"wallet"`
		Channels map[string]any `json:"channels"`
	}
	require.NoError(t, json.Unmarshal([]byte(f.ok(t, "balance", "--json")), &both))
	require.Equal(t, "1234", both.Wallet["unconfirmed_balance"])
	require.Equal(t, "5000", both.Channels["balance"])
}

// TestBalanceOfClosingChannels: what is ours of them is shown once, as the wallet's or as being closed.
func TestBalanceOfClosingChannels(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	forced := channel.Info{Phase: pb.Phase_CLOSING, Outpoint: fundedBy(4), Local: 1_000_000, ClosedBy: chainhash.Hash{8}}
	published := channel.Info{Phase: pb.Phase_CLOSING, Outpoint: fundedBy(2), Local: 20_000_000}
	unseen, seen := widest(pb.Phase_AGREED), channel.Info{Phase: pb.Phase_AGREED, Outpoint: fundedBy(3), Local: 4_000_000_000}
	f.channels = []channel.Info{forced, published, unseen, seen}
	closingTx := wire.NewMsgTx(2)
	closingTx.AddTxIn(wire.NewTxIn(&seen.Outpoint, nil, nil))
	f.transactions = []wallet.Transaction{{TxID: closingTx.TxHash(), Tx: closingTx, Received: 3_999_000, Time: made}}
	f.coins = []wallet.Coin{{Amount: 3_999_000, Script: witnessScript}}
	require.Equal(t, `WHERE                                   AMOUNT
wallet, confirmed                        0 sat
wallet, unconfirmed              3,999,000 sat
channels, ours                           0 sat
channels being closed, ours  2,500,021,000 sat
`, f.ok(t, "balance"))

	var all struct {
		Pending map[string]any `json:"pending"`
	}
	require.NoError(t, json.Unmarshal([]byte(f.ok(t, "balance", "--json")), &all))
	require.Equal(t, "2504021000", all.Pending["total_limbo_balance"])
}

func TestSend(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	require.Equal(t, chainhash.Hash{7}.String()+"\n",
		f.ok(t, "send", witnessAddress, "2.5mbtc", "--feerate=4", "--label=rent"))
	f.ok(t, "send", taprootAddress, "all", "--conf-target=3", "--unconfirmed")
	require.Equal(t, []coins.SendRequest{
		{Outputs: []*wire.TxOut{wire.NewTxOut(250_000, witnessScript)}, FeeRate: 1000, MinConfirmations: 1, Label: "rent"},
		{Outputs: []*wire.TxOut{wire.NewTxOut(0, taprootScript)}, All: true, Target: 3},
	}, f.sent)
	f.fails(t, fault.Usage, "say the unit", "send", witnessAddress, "5")
	f.fails(t, fault.Usage, "exclude each other", "send", witnessAddress, "5sat", "--feerate=1", "--conf-target=1")
	f.fails(t, fault.Usage, "takes ADDRESS {AMOUNT | all}", "send", witnessAddress)
	f.fails(t, fault.Failed, "is no address on regtest", "send", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "1000sat")
	require.Len(t, f.sent, 2)
}

func TestTransactions(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	require.Contains(t, f.ok(t, "transactions"), "stormcell newaddress")
	one := wallet.Transaction{
		TxID: chainhash.Hash{1}, Tx: wire.NewMsgTx(2), Received: btcutil.MaxSatoshi, Block: backend.BlockRef{Height: 990}, Time: made,
	}
	two := wallet.Transaction{
		TxID: chainhash.Hash{2}, Tx: wire.NewMsgTx(2), Spent: 50_250, Fee: 250, Label: "for\x1b tea", Time: made,
	}
	f.transactions = []wallet.Transaction{one, two}
	out := f.ok(t, "transactions")
	newest := "-50,250 sat, unconfirmed, 2026-03-01 12:30\n    " + two.TxID.String() + "\n    fee 250 sat\n    for  tea\n"
	require.Equal(t, "+2,100,000,000,000,000 sat, 11 confirmations, 2026-03-01 12:30\n    "+one.TxID.String()+"\n"+newest, out)
	require.Equal(t, newest, f.ok(t, "listchaintxns", "--last=1"))
	require.Contains(t, f.ok(t, "transactions", "--json"), `"tx_hash": "`+two.TxID.String())
}

// TestLongHistory: an answer of many megabytes is shown, as a node that is some years old gives.
func TestLongHistory(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	tx := wire.NewMsgTx(2)
	tx.AddTxOut(wire.NewTxOut(1, bytes.Repeat([]byte{txscript.OP_NOP}, 1_000)))
	f.transactions = slices.Repeat([]wallet.Transaction{{TxID: tx.TxHash(), Tx: tx, Time: made}}, 3_000)
	require.Equal(t, 3_000, strings.Count(f.ok(t, "transactions", "--last=3000"), tx.TxHash().String()))
}
