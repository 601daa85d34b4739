package rpc

import (
	"bytes"
	"encoding/hex"

	"github.com/lightningnetwork/lnd/lnwire"

	"stormcell/actors/payment"
	"stormcell/messages/lnrpc"
	pb "stormcell/messages/payment"
)

var paymentStates = map[pb.Status]lnrpc.Payment_PaymentStatus{
	pb.Status_IN_FLIGHT: lnrpc.Payment_IN_FLIGHT, pb.Status_SUCCEEDED: lnrpc.Payment_SUCCEEDED,
	pb.Status_FAILED: lnrpc.Payment_FAILED,
}

// describePayment describes a payment.
func describePayment(p *pb.Payment) *lnrpc.Payment {
	out := &lnrpc.Payment{
		PaymentHash: hex.EncodeToString(p.Hash), PaymentPreimage: hex.EncodeToString(make([]byte, 32)),
		ValueMsat: int64(p.GetRequest().GetAmountMsat()), PaymentRequest: p.GetRequest().GetInvoice(),
		Status: paymentStates[payment.StatusOf(p)], CreationTimeNs: p.CreatedNs, PaymentIndex: p.Number,
	}
	out.ValueSat = out.ValueMsat / 1000
	out.Value, out.CreationDate = out.ValueSat, p.CreatedNs/nanoseconds
	if len(p.Preimage) > 0 {
		out.PaymentPreimage = hex.EncodeToString(p.Preimage)
	}
	if out.Status == lnrpc.Payment_FAILED {
		out.FailureReason = lnrpc.PaymentFailureReason(p.Failure) // the numbers are lnd's
	}
	for _, a := range p.Attempts {
		attempt := describeAttempt(p, a)
		out.Htlcs = append(out.Htlcs, attempt)
		if attempt.Status != lnrpc.HTLCAttempt_FAILED {
			out.FeeMsat += attempt.Route.TotalFeesMsat
		}
	}
	out.FeeSat = out.FeeMsat / 1000
	out.Fee = out.FeeSat
	return out
}

func describeAttempt(p *pb.Payment, a *pb.Attempt) *lnrpc.HTLCAttempt {
	out := &lnrpc.HTLCAttempt{
		AttemptId: a.Id, AttemptTimeNs: a.LaunchedNs, Route: describeRoute(p.GetRequest(), a.GetRoute()),
	}
	switch {
	case a.SettledNs != 0:
		out.Status, out.ResolveTimeNs, out.Preimage = lnrpc.HTLCAttempt_SUCCEEDED, a.SettledNs, p.Preimage
	case a.FailedNs != 0:
		out.Status, out.ResolveTimeNs, out.Failure = lnrpc.HTLCAttempt_FAILED, a.FailedNs, describeFailure(a.GetFailure())
	}
	return out
}

// describeRoute describes a route. What a node keeps as its fee is what it gets more than it forwards.
func describeRoute(r *pb.Request, route *pb.Route) *lnrpc.Route {
	out := &lnrpc.Route{TotalTimeLock: route.GetExpiry(), TotalAmtMsat: int64(route.GetAmountMsat())}
	arrives := route.GetAmountMsat()
	for i, h := range route.GetHops() {
		hop := &lnrpc.Hop{
			ChanId: h.Scid, Expiry: h.Expiry, AmtToForwardMsat: int64(h.AmountMsat), FeeMsat: int64(arrives - h.AmountMsat),
			PubKey: hex.EncodeToString(h.Node), TlvPayload: true, ChanCapacity: int64(arrives / 1000),
		}
		hop.AmtToForward, hop.Fee = hop.AmtToForwardMsat/1000, hop.FeeMsat/1000
		if i == len(route.GetHops())-1 {
			forPayee(hop, r)
		}
		out.TotalFeesMsat += hop.FeeMsat
		out.Hops = append(out.Hops, hop)
		arrives = h.AmountMsat
	}
	out.TotalAmt, out.TotalFees, out.FirstHopAmountMsat = out.TotalAmtMsat/1000, out.TotalFeesMsat/1000, out.TotalAmtMsat
	return out
}

// forPayee adds what only the payee is told.
func forPayee(hop *lnrpc.Hop, r *pb.Request) {
	payee := r.GetPayee()
	hop.Metadata = payee.GetMetadata()
	if len(payee.GetSecret()) > 0 {
		hop.MppRecord = &lnrpc.MPPRecord{PaymentAddr: payee.GetSecret(), TotalAmtMsat: int64(r.GetAmountMsat())}
	}
	records := map[uint64][]byte{}
	if len(payee.GetKeysend()) > 0 {
		records[keysendRecord] = payee.GetKeysend()
	}
	for _, record := range payee.GetRecords() {
		records[record.Type] = record.Value
	}
	if len(records) > 0 {
		hop.CustomRecords = records
	}
}

// failureCodes are lnd's names for the failures of BOLT 4, "Failure Messages".
var failureCodes = map[lnwire.FailCode]lnrpc.Failure_FailureCode{
	lnwire.CodeIncorrectOrUnknownPaymentDetails: lnrpc.Failure_INCORRECT_OR_UNKNOWN_PAYMENT_DETAILS,
	lnwire.CodeIncorrectPaymentAmount:           lnrpc.Failure_INCORRECT_PAYMENT_AMOUNT,
	lnwire.CodeFinalIncorrectCltvExpiry:         lnrpc.Failure_FINAL_INCORRECT_CLTV_EXPIRY,
	lnwire.CodeFinalIncorrectHtlcAmount:         lnrpc.Failure_FINAL_INCORRECT_HTLC_AMOUNT,
	lnwire.CodeFinalExpiryTooSoon:               lnrpc.Failure_FINAL_EXPIRY_TOO_SOON,
	lnwire.CodeInvalidRealm:                     lnrpc.Failure_INVALID_REALM,
	lnwire.CodeExpiryTooSoon:                    lnrpc.Failure_EXPIRY_TOO_SOON,
	lnwire.CodeInvalidOnionVersion:              lnrpc.Failure_INVALID_ONION_VERSION,
	lnwire.CodeInvalidOnionHmac:                 lnrpc.Failure_INVALID_ONION_HMAC,
	lnwire.CodeInvalidOnionKey:                  lnrpc.Failure_INVALID_ONION_KEY,
	lnwire.CodeAmountBelowMinimum:               lnrpc.Failure_AMOUNT_BELOW_MINIMUM,
	lnwire.CodeFeeInsufficient:                  lnrpc.Failure_FEE_INSUFFICIENT,
	lnwire.CodeIncorrectCltvExpiry:              lnrpc.Failure_INCORRECT_CLTV_EXPIRY,
	lnwire.CodeChannelDisabled:                  lnrpc.Failure_CHANNEL_DISABLED,
	lnwire.CodeTemporaryChannelFailure:          lnrpc.Failure_TEMPORARY_CHANNEL_FAILURE,
	lnwire.CodeRequiredNodeFeatureMissing:       lnrpc.Failure_REQUIRED_NODE_FEATURE_MISSING,
	lnwire.CodeRequiredChannelFeatureMissing:    lnrpc.Failure_REQUIRED_CHANNEL_FEATURE_MISSING,
	lnwire.CodeUnknownNextPeer:                  lnrpc.Failure_UNKNOWN_NEXT_PEER,
	lnwire.CodeTemporaryNodeFailure:             lnrpc.Failure_TEMPORARY_NODE_FAILURE,
	lnwire.CodePermanentNodeFailure:             lnrpc.Failure_PERMANENT_NODE_FAILURE,
	lnwire.CodePermanentChannelFailure:          lnrpc.Failure_PERMANENT_CHANNEL_FAILURE,
	lnwire.CodeExpiryTooFar:                     lnrpc.Failure_EXPIRY_TOO_FAR,
	lnwire.CodeMPPTimeout:                       lnrpc.Failure_MPP_TIMEOUT,
	lnwire.CodeInvalidOnionPayload:              lnrpc.Failure_INVALID_ONION_PAYLOAD,
	lnwire.CodeInvalidBlinding:                  lnrpc.Failure_INVALID_ONION_BLINDING,
}

func describeFailure(f *pb.Failure) *lnrpc.Failure {
	out := &lnrpc.Failure{FailureSourceIndex: f.GetHop()}
	switch {
	case f.GetRefused() != nil:
		out.Code = lnrpc.Failure_INTERNAL_FAILURE
	case f.GetMalformed() != nil:
		out.Code = failureCode(lnwire.FailCode(f.GetMalformed().GetCode()))
		out.OnionSha_256 = f.GetMalformed().GetOnionHash()
	case f.GetUnreadable():
		out.Code = lnrpc.Failure_UNREADABLE_FAILURE
	default:
		message, err := lnwire.DecodeFailureMessage(bytes.NewReader(f.GetMessage()), 0)
		if err != nil {
			out.Code = lnrpc.Failure_UNKNOWN_FAILURE
			return out
		}
		out.Code = failureCode(message.Code())
		describeMessage(out, message)
	}
	return out
}

func failureCode(code lnwire.FailCode) lnrpc.Failure_FailureCode {
	if known, ok := failureCodes[code]; ok {
		return known
	}
	return lnrpc.Failure_UNKNOWN_FAILURE
}

// describeMessage adds what some failures say besides.
func describeMessage(out *lnrpc.Failure, message lnwire.FailureMessage) {
	switch m := message.(type) {
	case *lnwire.FailIncorrectDetails:
		out.HtlcMsat, out.Height = uint64(m.Amount()), m.Height()
	case *lnwire.FailFinalIncorrectCltvExpiry:
		out.CltvExpiry = m.CltvExpiry
	case *lnwire.FailFinalIncorrectHtlcAmount:
		out.HtlcMsat = uint64(m.IncomingHTLCAmount)
	case *lnwire.FailAmountBelowMinimum:
		out.HtlcMsat = uint64(m.HtlcMsat)
	case *lnwire.FailFeeInsufficient:
		out.HtlcMsat = uint64(m.HtlcMsat)
	case *lnwire.FailIncorrectCltvExpiry:
		out.CltvExpiry = m.CltvExpiry
	case *lnwire.FailChannelDisabled:
		out.Flags = uint32(m.Flags)
	}
}
