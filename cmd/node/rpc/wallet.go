package rpc

import (
	"context"
	"encoding/hex"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/txscript"
	btcwire "github.com/btcsuite/btcd/wire"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"stormcell/actors/wallet"
	chainwallet "stormcell/chain/wallet"
	"stormcell/messages/lnrpc"
)

// theAccount is the name of the one account there is, lnd's.
const theAccount = "default"

// NewAddress implements lnrpc.LightningServer.
func (l *lightning) NewAddress(ctx context.Context, r *lnrpc.NewAddressRequest) (*lnrpc.NewAddressResponse, error) {
	if err := checkAccount(r.Account); err != nil {
		return nil, err
	}
	var branch chainwallet.Branch
	switch r.Type {
	case lnrpc.AddressType_WITNESS_PUBKEY_HASH, lnrpc.AddressType_UNUSED_WITNESS_PUBKEY_HASH:
		branch = chainwallet.ReceiveWitness
	case lnrpc.AddressType_TAPROOT_PUBKEY, lnrpc.AddressType_UNUSED_TAPROOT_PUBKEY:
		branch = chainwallet.ReceiveTaproot
	default:
		return nil, status.Errorf(codes.InvalidArgument, "unknown address type: %v", r.Type)
	}
	address, err := l.node().Wallet.NewAddress(ctx, branch)
	if err != nil {
		return nil, refused(err)
	}
	return &lnrpc.NewAddressResponse{Address: address.EncodeAddress()}, nil
}

func checkAccount(name string) error {
	if name != "" && name != theAccount {
		return status.Errorf(codes.NotFound, "account %q not found: there is only %q", name, theAccount)
	}
	return nil
}

// WalletBalance implements lnrpc.LightningServer.
func (l *lightning) WalletBalance(
	ctx context.Context, r *lnrpc.WalletBalanceRequest,
) (*lnrpc.WalletBalanceResponse, error) {
	if err := checkAccount(r.Account); err != nil {
		return nil, err
	}
	all, err := l.node().Wallet.Coins(ctx)
	if err != nil {
		return nil, refused(err)
	}
	var confirmed, unconfirmed, locked btcutil.Amount
	for _, c := range l.mature(all) {
		switch {
		case c.leased:
			locked += c.Amount
		case c.confirmations >= uint32(max(r.MinConfs, 1)):
			confirmed += c.Amount
		default:
			unconfirmed += c.Amount
		}
	}
	return &lnrpc.WalletBalanceResponse{
		TotalBalance: int64(confirmed + unconfirmed), ConfirmedBalance: int64(confirmed),
		UnconfirmedBalance: int64(unconfirmed), LockedBalance: int64(locked), ReservedBalanceAnchorChan: int64(all.Reserve),
		AccountBalance: map[string]*lnrpc.WalletAccountBalance{
			theAccount: {ConfirmedBalance: int64(confirmed), UnconfirmedBalance: int64(unconfirmed)},
		},
	}, nil
}

// coin is a coin of the wallet at the tip.
type coin struct {
	chainwallet.Coin
	confirmations uint32
	leased        bool
}

// mature are the coins but for miners' rewards that cannot be spent yet.
func (l *lightning) mature(all wallet.Coins) []coin {
	leased := map[btcwire.OutPoint]bool{}
	for _, lease := range all.Leases {
		leased[lease.Coin] = true
	}
	maturity := uint32(l.server.o.Network.Params().CoinbaseMaturity)
	var out []coin
	for _, c := range all.Coins {
		at := coin{Coin: c, confirmations: c.Confirmations(all.Tip.Height), leased: leased[c.OutPoint]}
		if !c.Coinbase || at.confirmations >= maturity {
			out = append(out, at)
		}
	}
	return out
}

// ListUnspent implements lnrpc.LightningServer.
func (l *lightning) ListUnspent(ctx context.Context, r *lnrpc.ListUnspentRequest) (*lnrpc.ListUnspentResponse, error) {
	if err := checkAccount(r.Account); err != nil {
		return nil, err
	}
	switch {
	case r.MinConfs < 0:
		return nil, status.Error(codes.InvalidArgument, "min confirmations must be >= 0")
	case r.MinConfs > r.MaxConfs:
		return nil, status.Error(codes.InvalidArgument, "max confirmations must be >= min confirmations")
	}
	all, err := l.node().Wallet.Coins(ctx)
	if err != nil {
		return nil, refused(err)
	}
	out := &lnrpc.ListUnspentResponse{}
	for _, c := range l.mature(all) {
		if !c.leased && c.confirmations >= uint32(r.MinConfs) && c.confirmations <= uint32(r.MaxConfs) {
			out.Utxos = append(out.Utxos, l.utxo(&c))
		}
	}
	return out, nil
}

func (l *lightning) utxo(c *coin) *lnrpc.Utxo {
	kind := lnrpc.AddressType_WITNESS_PUBKEY_HASH
	if txscript.IsPayToTaproot(c.Script) {
		kind = lnrpc.AddressType_TAPROOT_PUBKEY
	}
	return &lnrpc.Utxo{
		AddressType: kind, Address: l.addressOf(c.Script), AmountSat: int64(c.Amount), PkScript: hex.EncodeToString(c.Script),
		Outpoint:      outPoint(c.OutPoint),
		Confirmations: int64(c.confirmations),
	}
}

// SendCoins implements lnrpc.LightningServer.
func (l *lightning) SendCoins(ctx context.Context, r *lnrpc.SendCoinsRequest) (*lnrpc.SendCoinsResponse, error) {
	want, err := l.sendRequest(r)
	if err != nil {
		return nil, err
	}
	txid, err := l.node().Wallet.Send(ctx, want)
	if err != nil {
		return nil, refused(err)
	}
	return &lnrpc.SendCoinsResponse{Txid: txid.String()}, nil
}

// sendRequest reads a request, and refuses what this node does not do.
func (l *lightning) sendRequest(r *lnrpc.SendCoinsRequest) (wallet.SendRequest, error) {
	want := wallet.SendRequest{All: r.SendAll, Label: r.Label, MinConfirmations: uint32(max(r.MinConfs, 1))}
	if err := understood(r); err != nil {
		return want, err
	}
	switch {
	case r.SendAll && r.Amount != 0:
		return want, status.Error(codes.InvalidArgument, "amount set while SendAll is active")
	case !r.SendAll && (r.Amount <= 0 || r.Amount > btcutil.MaxSatoshi):
		return want, status.Errorf(codes.InvalidArgument, "amount: %d sat cannot be sent", r.Amount)
	case r.MinConfs < 0:
		return want, status.Error(codes.InvalidArgument, "minimum number of confirmations must be a non-negative number")
	case r.SpendUnconfirmed && r.MinConfs > 0:
		return want, status.Error(codes.InvalidArgument, "SpendUnconfirmed set to true with MinConfs > 0")
	case r.SpendUnconfirmed:
		want.MinConfirmations = 0
	}
	var err error
	if want.FeeRate, want.Target, err = feePreference(r.SatPerVbyte, r.TargetConf); err != nil {
		return want, err
	}
	script, err := l.scriptOf(r.Addr)
	if err != nil {
		return want, err
	}
	want.Outputs = []*btcwire.TxOut{btcwire.NewTxOut(r.Amount, script)}
	return want, nil
}
