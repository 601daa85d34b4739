package rpc

import (
	"context"
	"math"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/lightningnetwork/lnd/lnwire"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	invoices "stormcell/actors/invoice"
	pb "stormcell/messages/invoice"
	"stormcell/messages/lnrpc"
	"stormcell/peer/bolt11"
	"stormcell/peer/wire"
)

const (
	nanoseconds = int64(time.Second)
	// longestMemo is in bytes (BOLT 11: a field has at most 1023 times 5 bits), longestExpiry is lnd's.
	longestMemo   = 639
	longestExpiry = 365 * 24 * time.Hour
)

// asked is what requests for invoices have in common.
type asked struct {
	memo             string
	value, valueMsat int64
	descriptionHash  []byte
	expiry           int64 // seconds
	fallback         string
	cltvExpiry       uint64
	hints            []*lnrpc.RouteHint
	private          bool
}

// invoiceRequest reads what is asked for. Its errors are for people.
func (s *Server) invoiceRequest(ctx context.Context, a asked) (invoices.Request, error) {
	want := invoices.Request{Description: a.memo, Expiry: time.Duration(a.expiry) * time.Second}
	switch {
	case len(a.memo) > longestMemo:
		return want, status.Errorf(codes.InvalidArgument, "memo too large: %d bytes (maxsize=%d)", len(a.memo), longestMemo)
	case a.expiry < 0 || a.expiry > int64(longestExpiry/time.Second):
		return want, status.Errorf(codes.InvalidArgument, "expiry: %d is not between 1 and %d seconds", a.expiry,
			longestExpiry/time.Second)
	case a.cltvExpiry > math.MaxUint32:
		return want, status.Errorf(codes.InvalidArgument, "CLTV delta of %d is too large", a.cltvExpiry)
	}
	want.FinalCLTVDelta = uint32(a.cltvExpiry)
	var err error
	if want.Amount, err = parseAmount(a.value, a.valueMsat); err != nil {
		return want, err
	}
	if len(a.descriptionHash) > 0 {
		hash, err := parseHash("description_hash", a.descriptionHash)
		if err != nil {
			return want, err
		}
		want.DescriptionHash = &hash
	}
	if a.fallback != "" {
		if want.Fallback, err = s.address(a.fallback); err != nil {
			return want, err
		}
	}
	if want.Hints, err = parseHints(a.hints); err != nil || !a.private {
		return want, err
	}
	own, err := s.ownHints(ctx, want.Amount)
	want.Hints = append(want.Hints, own...)
	return want, err
}

// parseAmount reads an amount that is in satoshis or in millisatoshis; zero is none.
func parseAmount(sat, msat int64) (wire.MilliSatoshi, error) {
	switch {
	case sat != 0 && msat != 0:
		return 0, status.Error(codes.InvalidArgument, "sat and msat arguments are mutually exclusive")
	case sat < 0 || msat < 0:
		return 0, status.Error(codes.InvalidArgument, "amount cannot be negative")
	case sat > btcutil.MaxSatoshi || msat > btcutil.MaxSatoshi*1000:
		return 0, status.Error(codes.InvalidArgument, "the amount is more than there is")
	case sat != 0:
		return lnwire.NewMSatFromSatoshis(btcutil.Amount(sat)), nil
	}
	return wire.MilliSatoshi(msat), nil
}

var invoiceStates = map[pb.Status]lnrpc.Invoice_InvoiceState{
	pb.Status_OPEN: lnrpc.Invoice_OPEN, pb.Status_HELD: lnrpc.Invoice_ACCEPTED, pb.Status_SETTLED: lnrpc.Invoice_SETTLED,
	pb.Status_CANCELED: lnrpc.Invoice_CANCELED,
}

var invoiceHTLCStates = map[pb.HTLCState]lnrpc.InvoiceHTLCState{
	pb.HTLCState_ACCEPTED: lnrpc.InvoiceHTLCState_ACCEPTED, pb.HTLCState_CLAIMED: lnrpc.InvoiceHTLCState_SETTLED,
	pb.HTLCState_FAILED: lnrpc.InvoiceHTLCState_CANCELED,
}

// invoice describes an invoice. Its channels are those of the call.
func (s *Server) invoice(ctx context.Context, i invoices.Info, channels *shortIDs) (*lnrpc.Invoice, error) {
	amount, paid := wire.MilliSatoshi(i.AmountMsat), wire.MilliSatoshi(i.PaidMsat)
	out := &lnrpc.Invoice{
		Memo: i.Description, RPreimage: i.Preimage, RHash: i.PaymentHash, Value: int64(amount.ToSatoshis()),
		ValueMsat: int64(amount), Settled: i.Status == pb.Status_SETTLED, CreationDate: i.CreatedNs / nanoseconds,
		PaymentRequest: i.PaymentRequest, DescriptionHash: i.DescriptionHash, Expiry: int64(i.ExpiryS),
		CltvExpiry: uint64(i.FinalCltvDelta), Private: i.Private, AddIndex: i.AddIndex, SettleIndex: i.SettleIndex,
		State: invoiceStates[i.Status], IsKeysend: i.Keysend,
		PaymentAddr: i.PaymentSecret,
	}
	if out.Settled {
		out.SettleDate = i.ClosedNs / nanoseconds
	}
	for _, h := range i.Htlcs {
		id, err := channels.of(ctx, h.Channel)
		if err != nil {
			return nil, err
		}
		out.Htlcs = append(out.Htlcs, describeHTLC(h, id))
		if h.State == pb.HTLCState_ACCEPTED && !out.Settled { // it is held, and so as good as paid
			paid += wire.MilliSatoshi(h.AmountMsat)
		}
	}
	out.AmtPaid, out.AmtPaidSat, out.AmtPaidMsat = int64(paid), int64(paid.ToSatoshis()), int64(paid)
	if i.PaymentRequest == "" {
		return out, nil
	}
	request, err := bolt11.Decode(i.PaymentRequest, s.o.Network.Params())
	if err != nil {
		return nil, status.Errorf(codes.Internal, "invoice %x: %v", i.PaymentHash, err)
	}
	out.Features, out.RouteHints = features(request.Features), describeHints(request.Hints)
	if request.Fallback != nil {
		out.FallbackAddr = request.Fallback.EncodeAddress()
	}
	return out, nil
}

func describeHTLC(h *pb.HTLC, channel uint64) *lnrpc.InvoiceHTLC {
	out := &lnrpc.InvoiceHTLC{
		ChanId: channel, HtlcIndex: h.Id, AmtMsat: h.AmountMsat, AcceptHeight: int32(h.AcceptedHeight), AcceptTime: h.AcceptedNs / nanoseconds,
		ResolveTime: h.ResolvedNs / nanoseconds, ExpiryHeight: int32(h.Expiry), State: invoiceHTLCStates[h.State],
		MppTotalAmtMsat: h.TotalMsat,
	}
	for _, record := range h.Records {
		if out.CustomRecords == nil {
			out.CustomRecords = map[uint64][]byte{}
		}
		out.CustomRecords[record.Type] = record.Value
	}
	return out
}
