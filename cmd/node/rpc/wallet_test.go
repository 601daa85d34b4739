package rpc

import (
	"net"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"stormcell/actors/channel"
	coins "stormcell/actors/wallet"
	"stormcell/chain/backend"
	"stormcell/chain/wallet"
	pb "stormcell/messages/channel"
	"stormcell/messages/lnrpc"
)

const (
	witnessAddress = "bcrt1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqdku202"
	taprootAddress = "bcrt1pqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqm3usuw"
)

var (
	witnessScript = append([]byte{txscript.OP_0, txscript.OP_DATA_20}, make([]byte, 20)...)
	taprootScript = append([]byte{txscript.OP_1, txscript.OP_DATA_32}, make([]byte, 32)...)
)

// someCoins are, at height 200: two confirmed ones, one in no block, two miners' rewards, and one that is set aside.
func someCoins() coins.Coins {
	at := func(index uint32) wire.OutPoint { return wire.OutPoint{Hash: chainhash.Hash{1}, Index: index} }
	return coins.Coins{
		Tip: backend.BlockRef{Height: 200}, Synced: true,
		Coins: []wallet.Coin{
			{OutPoint: at(0), Amount: 1, Script: witnessScript, Height: 200},
			{OutPoint: at(1), Amount: 10, Script: taprootScript, Height: 195},
			{OutPoint: at(2), Amount: 100, Script: witnessScript},
			{OutPoint: at(3), Amount: 1000, Script: witnessScript, Height: 101, Coinbase: true},
			{OutPoint: at(4), Amount: 10_000, Script: witnessScript, Height: 102, Coinbase: true},
			{OutPoint: at(5), Amount: 100_000, Script: witnessScript, Height: 150},
		},
		Leases: []coins.Lease{{Coin: at(5), Amount: 100_000}, {Coin: at(9), Amount: 5}},
	}
}

func TestNewAddress(t *testing.T) {
	t.Parallel()
	l := newLightning(t, Node{Wallet: &fakeWallet{}})
	for kind, want := range map[lnrpc.AddressType]string{
		lnrpc.AddressType_WITNESS_PUBKEY_HASH: witnessAddress, lnrpc.AddressType_UNUSED_WITNESS_PUBKEY_HASH: witnessAddress,
		lnrpc.AddressType_TAPROOT_PUBKEY: taprootAddress, lnrpc.AddressType_UNUSED_TAPROOT_PUBKEY: taprootAddress,
	} {
		answer, err := l.NewAddress(t.Context(), &lnrpc.NewAddressRequest{Type: kind, Account: "default"})
		require.NoError(t, err)
		require.Equal(t, want, answer.Address)
	}
	_, err := l.NewAddress(t.Context(), &lnrpc.NewAddressRequest{Type: 1})
	require.ErrorContains(t, err, "unknown address type: 1")
	_, err = l.NewAddress(t.Context(), &lnrpc.NewAddressRequest{Account: "savings"})
	require.Equal(t, codes.NotFound, status.Code(err))
}

func TestWalletBalance(t *testing.T) {
	t.Parallel()
	all := someCoins()
	all.Reserve = 20_000
	l := newLightning(t, Node{Wallet: &fakeWallet{coins: all}})
	answer, err := l.WalletBalance(t.Context(), &lnrpc.WalletBalanceRequest{})
	require.NoError(t, err)
	require.Equal(t, int64(20_000), answer.ReservedBalanceAnchorChan)
	require.Equal(t, int64(1011), answer.ConfirmedBalance)
	require.Equal(t, int64(100), answer.UnconfirmedBalance)
	require.Equal(t, int64(1111), answer.TotalBalance)
	require.Equal(t, int64(100_000), answer.LockedBalance)
	require.Equal(t, int64(1011), answer.AccountBalance["default"].ConfirmedBalance)

	answer, err = l.WalletBalance(t.Context(), &lnrpc.WalletBalanceRequest{MinConfs: 6})
	require.NoError(t, err)
	require.Equal(t, int64(1010), answer.ConfirmedBalance)
	require.Equal(t, int64(101), answer.UnconfirmedBalance)
}

func TestListUnspent(t *testing.T) {
	t.Parallel()
	l := newLightning(t, Node{Wallet: &fakeWallet{coins: someCoins()}})
	for name, c := range map[string]struct {
		least, most int32
		want        []int64
	}{
		"all": {0, 1 << 30, []int64{1, 10, 100, 1000}}, "confirmed": {1, 1 << 30, []int64{1, 10, 1000}},
		"in no block": {0, 0, []int64{100}}, "young": {1, 6, []int64{1, 10}},
	} {
		answer, err := l.ListUnspent(t.Context(), &lnrpc.ListUnspentRequest{MinConfs: c.least, MaxConfs: c.most})
		require.NoError(t, err)
		var got []int64
		for _, u := range answer.Utxos {
			got = append(got, u.AmountSat)
		}
		require.Equal(t, c.want, got, name)
	}
	answer, err := l.ListUnspent(t.Context(), &lnrpc.ListUnspentRequest{MinConfs: 6, MaxConfs: 6})
	require.NoError(t, err)
	require.Len(t, answer.Utxos, 1)
	hash := chainhash.Hash{1}
	require.Equal(t, &lnrpc.Utxo{
		AddressType: lnrpc.AddressType_TAPROOT_PUBKEY, Address: taprootAddress, AmountSat: 10,
		PkScript:      "5120" + "0000000000000000000000000000000000000000000000000000000000000000",
		Outpoint:      &lnrpc.OutPoint{TxidBytes: hash[:], TxidStr: hash.String(), OutputIndex: 1},
		Confirmations: 6,
	}, answer.Utxos[0])

	_, err = l.ListUnspent(t.Context(), &lnrpc.ListUnspentRequest{MinConfs: 2, MaxConfs: 1})
	require.ErrorContains(t, err, "max confirmations must be >= min confirmations")
	_, err = l.ListUnspent(t.Context(), &lnrpc.ListUnspentRequest{MinConfs: -1})
	require.ErrorContains(t, err, "min confirmations must be >= 0")
}

func TestSendCoins(t *testing.T) {
	t.Parallel()
	node := &fakeWallet{}
	l := newLightning(t, Node{Wallet: node})
	for _, r := range []*lnrpc.SendCoinsRequest{
		{Addr: witnessAddress, Amount: 5000, TargetConf: 2, MinConfs: 3, Label: "rent"},
		{Addr: taprootAddress, SendAll: true, SatPerVbyte: 10, SpendUnconfirmed: true},
		{Addr: witnessAddress, Amount: 1},
	} {
		answer, err := l.SendCoins(t.Context(), r)
		require.NoError(t, err)
		require.Equal(t, chainhash.Hash{7}.String(), answer.Txid)
	}
	require.Equal(t, []coins.SendRequest{
		{Outputs: []*wire.TxOut{wire.NewTxOut(5000, witnessScript)}, Target: 2, MinConfirmations: 3, Label: "rent"},
		{Outputs: []*wire.TxOut{wire.NewTxOut(0, taprootScript)}, All: true, FeeRate: 2500},
		{Outputs: []*wire.TxOut{wire.NewTxOut(1, witnessScript)}, MinConfirmations: 1},
	}, node.sent)

	for want, change := range map[string]func(*lnrpc.SendCoinsRequest){
		"amount set while SendAll":     func(r *lnrpc.SendCoinsRequest) { r.SendAll = true },
		"0 sat cannot be sent":         func(r *lnrpc.SendCoinsRequest) { r.Amount = 0 },
		"-5 sat cannot be sent":        func(r *lnrpc.SendCoinsRequest) { r.Amount = -5 },
		"2100000000000001 sat cannot":  func(r *lnrpc.SendCoinsRequest) { r.Amount = btcutil.MaxSatoshi + 1 },
		"non-negative number":          func(r *lnrpc.SendCoinsRequest) { r.MinConfs = -1 },
		"SpendUnconfirmed set to true": func(r *lnrpc.SendCoinsRequest) { r.SpendUnconfirmed, r.MinConfs = true, 1 },
		"but not both":                 func(r *lnrpc.SendCoinsRequest) { r.TargetConf, r.SatPerVbyte = 1, 1 },
		"is no address on regtest":     func(r *lnrpc.SendCoinsRequest) { r.Addr = "" },
		`"03" is no address on`:        func(r *lnrpc.SendCoinsRequest) { r.Addr = "03" },
		"field 11 of lnrpc.SendCoinsR": func(r *lnrpc.SendCoinsRequest) { r.ProtoReflect().SetUnknown([]byte{11<<3 | 2, 0}) },
	} {
		r := &lnrpc.SendCoinsRequest{Addr: witnessAddress, Amount: 1000}
		change(r)
		_, err := l.SendCoins(t.Context(), r)
		require.ErrorContains(t, err, want)
	}
	// A bare key is an address of the network, as far as decoding goes; nobody means to pay to one.
	self := nodeOf(1)
	key, err := btcutil.NewAddressPubKey(self[:], backend.Regtest.Params())
	require.NoError(t, err)
	_, err = l.SendCoins(t.Context(), &lnrpc.SendCoinsRequest{Addr: key.String(), Amount: 1000})
	require.ErrorContains(t, err, "is no address on regtest")
	require.Len(t, node.sent, 3)

	node.err = wallet.InsufficientFundsError{Needed: 2, Available: 1}
	_, err = l.SendCoins(t.Context(), &lnrpc.SendCoinsRequest{Addr: witnessAddress, Amount: 1000})
	require.ErrorContains(t, err, "not enough coins")
	require.Equal(t, codes.Unknown, status.Code(err))
}

func TestGetTransactions(t *testing.T) {
	t.Parallel()
	of := func(n byte, height uint32) wallet.Transaction {
		tx := wire.NewMsgTx(2)
		tx.AddTxIn(wire.NewTxIn(&wire.OutPoint{Index: uint32(n)}, nil, nil))
		tx.AddTxIn(wire.NewTxIn(&wire.OutPoint{Index: 77}, nil, nil))
		tx.AddTxOut(wire.NewTxOut(600, witnessScript))
		tx.AddTxOut(wire.NewTxOut(300, taprootScript))
		described := wallet.Transaction{
			TxID: tx.TxHash(), Tx: tx, Time: time.Unix(int64(n), 0), Received: 300, Spent: 1000, Fee: 100, Label: "rent",
			OurInputs: []uint32{0}, OurOutputs: []uint32{1},
		}
		if height > 0 {
			described.Block = backend.BlockRef{Height: height, Hash: chainhash.Hash{n}}
		}
		return described
	}
	all := []wallet.Transaction{of(0, 100), of(1, 150), of(2, 150), of(3, 200), of(4, 0)}
	l := newLightning(t, Node{Wallet: &fakeWallet{transactions: all}, Chain: fakeChain(200)})
	for name, c := range map[string]struct {
		r     *lnrpc.GetTransactionsRequest
		want  []byte // by number
		first uint64
		last  uint64
	}{
		"all":            {&lnrpc.GetTransactionsRequest{}, []byte{4, 3, 1, 2, 0}, 0, 4},
		"all, as lncli":  {&lnrpc.GetTransactionsRequest{EndHeight: -1}, []byte{4, 3, 1, 2, 0}, 0, 4},
		"from a height":  {&lnrpc.GetTransactionsRequest{StartHeight: 150}, []byte{4, 3, 1, 2}, 0, 3},
		"to a height":    {&lnrpc.GetTransactionsRequest{EndHeight: 150}, []byte{1, 2, 0}, 0, 2},
		"in one block":   {&lnrpc.GetTransactionsRequest{StartHeight: 200, EndHeight: 200}, []byte{3}, 0, 0},
		"a page":         {&lnrpc.GetTransactionsRequest{IndexOffset: 1, MaxTransactions: 2}, []byte{1, 2}, 1, 2},
		"the last page":  {&lnrpc.GetTransactionsRequest{IndexOffset: 4, MaxTransactions: 1<<32 - 1}, []byte{4}, 4, 4},
		"past the end":   {&lnrpc.GetTransactionsRequest{IndexOffset: 1<<32 - 1}, nil, 0, 0},
		"in other years": {&lnrpc.GetTransactionsRequest{StartHeight: 300, EndHeight: 400}, nil, 0, 0},
	} {
		answer, err := l.GetTransactions(t.Context(), c.r)
		require.NoError(t, err)
		var got []byte
		for _, tx := range answer.Transactions {
			got = append(got, byte(tx.TimeStamp))
		}
		require.Equal(t, c.want, got, name)
		require.Equal(t, c.first, answer.FirstIndex, name)
		require.Equal(t, c.last, answer.LastIndex, name)
	}
	answer, err := l.GetTransactions(t.Context(), &lnrpc.GetTransactionsRequest{StartHeight: 100, EndHeight: 100})
	require.NoError(t, err)
	tx := answer.Transactions[0]
	require.Equal(t, int64(-700), tx.Amount)
	require.Equal(t, int64(100), tx.TotalFees)
	require.Equal(t, int32(101), tx.NumConfirmations)
	require.Equal(t, int32(100), tx.BlockHeight)
	require.Equal(t, "rent", tx.Label)
	require.Equal(t, &lnrpc.OutputDetail{
		OutputType: lnrpc.OutputScriptType_SCRIPT_TYPE_WITNESS_V1_TAPROOT, Address: taprootAddress,
		PkScript:    "5120" + "0000000000000000000000000000000000000000000000000000000000000000",
		OutputIndex: 1, Amount: 300, IsOurAddress: true,
	}, tx.OutputDetails[1])
	require.False(t, tx.OutputDetails[0].IsOurAddress)
	require.True(t, tx.PreviousOutpoints[0].IsOurOutput)
	require.False(t, tx.PreviousOutpoints[1].IsOurOutput)

	for _, r := range []*lnrpc.GetTransactionsRequest{
		{StartHeight: -1}, {EndHeight: -2}, {StartHeight: 5, EndHeight: 4},
	} {
		_, err := l.GetTransactions(t.Context(), r)
		require.Equal(t, codes.InvalidArgument, status.Code(err), r)
	}
}

func TestGetInfoCountsChannels(t *testing.T) {
	t.Parallel()
	away := aChannel()
	away.Active = false
	l := newLightning(t, Node{
		Peers: fakePeers{}, Chain: fakeChain(321), PeerAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9735},
		Channels: &fakeChannels{all: []channel.Info{
			aChannel(), away, away, inPhase(pb.Phase_WAIT_CONFIRMED, nil), inPhase(pb.Phase_AGREED, nil),
			inPhase(pb.Phase_CLOSING, nil), inPhase(pb.Phase_WAIT_ACCEPT, nil),
		}},
	})
	info, err := l.GetInfo(t.Context(), &lnrpc.GetInfoRequest{})
	require.NoError(t, err)
	require.Equal(t, []uint32{1, 2, 3}, []uint32{info.NumActiveChannels, info.NumInactiveChannels, info.NumPendingChannels})
	require.Equal(t, uint32(321), info.BlockHeight)
	require.True(t, info.SyncedToChain)
}
