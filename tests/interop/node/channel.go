package node

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/routerrpc"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"
)

// OpenTo opens a channel and returns when its funding transaction is on its way.
func (l *Lightning) OpenTo(to *Lightning, capacity, push btcutil.Amount) wire.OutPoint {
	l.t.Helper()
	return l.openWith(to, &lnrpc.OpenChannelRequest{LocalFundingAmount: int64(capacity), PushSat: int64(push)})
}

// OpenPrivatelyTo opens a channel that is not announced.
func (l *Lightning) OpenPrivatelyTo(to *Lightning, capacity btcutil.Amount) wire.OutPoint {
	l.t.Helper()
	return l.openWith(to, &lnrpc.OpenChannelRequest{LocalFundingAmount: int64(capacity), Private: true})
}

func (l *Lightning) openWith(to *Lightning, want *lnrpc.OpenChannelRequest) wire.OutPoint {
	l.t.Helper()
	key, err := hex.DecodeString(to.Key)
	require.NoError(l.t, err)
	l.AwaitSynced()
	want.NodePubkey, want.SatPerVbyte = key, 5
	point, err := l.OpenChannelSync(l.Context(), want)
	require.NoError(l.t, err, "%s opens a channel", l)
	txid, err := lnrpc.GetChanPointFundingTxid(point)
	require.NoError(l.t, err)
	return wire.OutPoint{Hash: *txid, Index: point.OutputIndex}
}

// Channel finds an open channel, nil when there is none.
func (l *Lightning) Channel(at wire.OutPoint) *lnrpc.Channel {
	all, err := l.ListChannels(l.Context(), &lnrpc.ListChannelsRequest{})
	if err != nil {
		return nil
	}
	for _, c := range all.Channels {
		if c.ChannelPoint == at.String() {
			return c
		}
	}
	return nil
}

// Balances are those of the only channel, in which there may be no HTLC: before the opener pays the commitment's fee and
// anchors.
func (l *Lightning) Balances(at wire.OutPoint) (local, remote lnwire.MilliSatoshi) {
	l.t.Helper()
	const commitmentWeight, anchors = 1124, 660 // BOLT 3
	c := l.Channel(at)
	require.NotNil(l.t, c)
	balance, err := l.ChannelBalance(l.Context(), &lnrpc.ChannelBalanceRequest{})
	require.NoError(l.t, err)
	cost := lnwire.NewMSatFromSatoshis(btcutil.Amount(c.FeePerKw*commitmentWeight/1000 + anchors))
	local, remote = lnwire.MilliSatoshi(balance.LocalBalance.Msat), lnwire.MilliSatoshi(balance.RemoteBalance.Msat)
	if c.Initiator {
		return local + cost, remote
	}
	return local, remote + cost
}

// Close asks to close a channel, and gives the transaction that is on its way.
func (l *Lightning) Close(at wire.OutPoint, satPerVByte uint64, force bool) chainhash.Hash {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), patience)
	defer cancel()
	updates, err := l.CloseChannel(ctx, &lnrpc.CloseChannelRequest{
		ChannelPoint: &lnrpc.ChannelPoint{
			FundingTxid: &lnrpc.ChannelPoint_FundingTxidBytes{FundingTxidBytes: at.Hash[:]}, OutputIndex: at.Index,
		},
		SatPerVbyte: satPerVByte, Force: force,
	})
	require.NoError(l.t, err)
	for {
		update, err := updates.Recv()
		require.NoError(l.t, err, "%s closes a channel", l)
		if pending := update.GetClosePending(); pending != nil {
			return chainhash.Hash(pending.Txid)
		}
	}
}

// Invoice makes an invoice.
func (l *Lightning) Invoice(amount lnwire.MilliSatoshi) (*lnrpc.AddInvoiceResponse, error) {
	return l.AddInvoice(l.Context(), &lnrpc.Invoice{ValueMsat: int64(amount), Memo: "interop"})
}

// Pay begins a payment, and gives how it ended. An error leaves it open how that was.
func (l *Lightning) Pay(request *routerrpc.SendPaymentRequest) (*lnrpc.Payment, error) {
	request.TimeoutSeconds, request.NoInflightUpdates, request.FeeLimitMsat = 50, true, 1_000_000
	ctx, cancel := context.WithTimeout(l.t.Context(), patience)
	defer cancel()
	updates, err := l.Router.SendPaymentV2(ctx, request)
	if err != nil {
		return nil, fmt.Errorf("%s pays: %w", l, err)
	}
	return end(updates)
}

// Payments are those that the node was asked for, by payment hash.
func (l *Lightning) Payments() map[string]*lnrpc.Payment {
	l.t.Helper()
	list, err := l.ListPayments(l.Context(), &lnrpc.ListPaymentsRequest{IncludeIncomplete: true, MaxPayments: listed})
	require.NoError(l.t, err)
	out := map[string]*lnrpc.Payment{}
	for _, p := range list.Payments {
		out[p.PaymentHash] = p
	}
	return out
}

// Invoices tells how far the node's invoices have come, by payment hash.
func (l *Lightning) Invoices() map[string]lnrpc.Invoice_InvoiceState {
	l.t.Helper()
	list, err := l.ListInvoices(l.Context(), &lnrpc.ListInvoiceRequest{NumMaxInvoices: listed})
	require.NoError(l.t, err)
	out := map[string]lnrpc.Invoice_InvoiceState{}
	for _, i := range list.Invoices {
		out[hex.EncodeToString(i.RHash)] = i.State
	}
	return out
}

const (
	// listed is more payments than any test makes, and what our nodes list at once.
	listed = 10_000
	// largestAnswer is what a list of so many takes, in bytes.
	largestAnswer = 64 << 20
)

func end(updates interface {
	Recv() (*lnrpc.Payment, error)
}) (*lnrpc.Payment, error) {
	for {
		p, err := updates.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return nil, errors.New("the payment has no end")
		case err != nil:
			return nil, err
		case p.Status == lnrpc.Payment_SUCCEEDED || p.Status == lnrpc.Payment_FAILED:
			return p, nil
		}
	}
}
