package rpc

import (
	"context"
	"maps"
	"slices"

	"github.com/btcsuite/btcd/btcutil"
	btcwire "github.com/btcsuite/btcd/wire"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"stormcell/actors/wallet"
	"stormcell/messages/lnrpc"
)

// EstimateFee implements lnrpc.LightningServer.
func (l *lightning) EstimateFee(ctx context.Context, r *lnrpc.EstimateFeeRequest) (*lnrpc.EstimateFeeResponse, error) {
	want, err := l.estimateRequest(r)
	if err != nil {
		return nil, err
	}
	selection, rate, err := l.node().Wallet.Estimate(ctx, want)
	if err != nil {
		return nil, refused(err)
	}
	perVByte := uint64(rate.ToVB())
	out := &lnrpc.EstimateFeeResponse{
		FeeSat: int64(selection.Fee), FeerateSatPerByte: int64(perVByte), SatPerVbyte: perVByte,
	}
	for _, c := range selection.Inputs {
		out.Inputs = append(out.Inputs, outPoint(c.OutPoint))
	}
	return out, nil
}

// estimateRequest reads a request, and refuses what this node does not do.
func (l *lightning) estimateRequest(r *lnrpc.EstimateFeeRequest) (wallet.SendRequest, error) {
	want := wallet.SendRequest{MinConfirmations: uint32(max(r.MinConfs, 1))}
	if err := understood(r); err != nil {
		return want, err
	}
	switch {
	case r.MinConfs < 0:
		return want, status.Error(codes.InvalidArgument, "minimum number of confirmations must be a non-negative number")
	case r.SpendUnconfirmed && r.MinConfs > 0:
		return want, status.Error(codes.InvalidArgument, "SpendUnconfirmed set to true with MinConfs > 0")
	case r.SpendUnconfirmed:
		want.MinConfirmations = 0
	}
	var err error
	if _, want.Target, err = feePreference(0, r.TargetConf); err != nil {
		return want, err
	}
	left := int64(btcutil.MaxSatoshi) // so that the sum cannot overflow
	for _, address := range slices.Sorted(maps.Keys(r.AddrToAmount)) {
		amount := r.AddrToAmount[address]
		if amount <= 0 || amount > left {
			return want, status.Errorf(codes.InvalidArgument, "amount: %d sat cannot be sent", amount)
		}
		left -= amount
		script, err := l.scriptOf(address)
		if err != nil {
			return want, err
		}
		want.Outputs = append(want.Outputs, btcwire.NewTxOut(amount, script))
	}
	return want, nil
}

func outPoint(at btcwire.OutPoint) *lnrpc.OutPoint {
	return &lnrpc.OutPoint{TxidBytes: at.Hash[:], TxidStr: at.Hash.String(), OutputIndex: at.Index}
}
