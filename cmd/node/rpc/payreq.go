package rpc

import (
	"context"
	"encoding/hex"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"stormcell/messages/lnrpc"
	"stormcell/peer/bolt11"
)

// DecodePayReq implements lnrpc.LightningServer.
func (l *lightning) DecodePayReq(_ context.Context, r *lnrpc.PayReqString) (*lnrpc.PayReq, error) {
	i, err := bolt11.Decode(r.PayReq, l.server.o.Network.Params())
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	out := &lnrpc.PayReq{
		Destination: hex.EncodeToString(i.Payee.SerializeCompressed()), PaymentHash: hex.EncodeToString(i.PaymentHash[:]),
		NumSatoshis: int64(i.Amount.ToSatoshis()), NumMsat: int64(i.Amount), Timestamp: i.Timestamp.Unix(),
		Expiry: int64(i.Expiry / time.Second), Description: i.Description, CltvExpiry: int64(i.FinalCLTVDelta),
		RouteHints: describeHints(i.Hints), PaymentAddr: i.PaymentSecret[:], Features: features(i.Features),
	}
	if i.DescriptionHash != nil {
		out.DescriptionHash = hex.EncodeToString(i.DescriptionHash[:])
	}
	if i.Fallback != nil {
		out.FallbackAddr = i.Fallback.EncodeAddress()
	}
	return out, nil
}
