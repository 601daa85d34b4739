package payment

import (
	"encoding/binary"

	"github.com/lightningnetwork/lnd/lnwire"

	"stormcell/actors/durable"
	"stormcell/actors/router"
	channelpb "stormcell/messages/channel"
	pb "stormcell/messages/payment"
	"stormcell/peer/wire"
)

// CodeOf is the failure code of what a node on the route said; false when there is none that can be read.
func CodeOf(f *pb.Failure) (lnwire.FailCode, bool) {
	switch {
	case f.GetMalformed() != nil:
		return lnwire.FailCode(f.GetMalformed().GetCode()), true
	case len(f.GetMessage()) >= 2:
		return lnwire.FailCode(binary.BigEndian.Uint16(f.GetMessage())), true
	default:
		return 0, false
	}
}

// verdict is why the failure of an attempt is one of the whole payment; NONE when it may go on (BOLT 4, "Receiving Failure
// Codes").
func verdict(a *pb.Attempt) pb.FailureReason {
	f := a.GetFailure()
	if r := f.GetRefused(); r != nil {
		if r.GetCode() == channelpb.RefusalCode_BAD_REQUEST {
			return pb.FailureReason_ERROR // no channel would take it
		}
		return pb.FailureReason_NONE
	}
	code, readable := CodeOf(f)
	if !readable || f.GetMalformed() != nil || !fromPayee(a) {
		return pb.FailureReason_NONE
	}
	switch {
	case code == lnwire.CodeIncorrectOrUnknownPaymentDetails:
		return pb.FailureReason_INCORRECT_PAYMENT_DETAILS
	case code&lnwire.FlagPerm != 0:
		return pb.FailureReason_ERROR
	case len(a.GetRoute().GetHops()) == 1 && isAboutTheHTLC(code):
		return pb.FailureReason_ERROR // nobody but we could have made the HTLC other than the onion says
	default:
		return pb.FailureReason_NONE
	}
}

func fromPayee(a *pb.Attempt) bool {
	return int(a.GetFailure().GetHop()) == len(a.GetRoute().GetHops())
}

// isAboutTheHTLC tells whether the payee says that the HTLC is not what the onion promised.
func isAboutTheHTLC(code lnwire.FailCode) bool {
	return code == lnwire.CodeFinalIncorrectCltvExpiry || code == lnwire.CodeFinalIncorrectHtlcAmount
}

// lesson is what the failure of an attempt says of the channel it began with: that it carries less than some amount, which
// may be nothing. A set that the payee waited for in vain says nothing, nor does a channel that was full.
func lesson(a *pb.Attempt) (router.Bound, bool) {
	f := a.GetFailure()
	if f == nil || isFull(f) {
		return router.Bound{}, false
	}
	bound := router.Bound{Channel: durable.Address(a.GetRoute().GetChannel())}
	switch r := f.GetRefused(); {
	case r != nil && r.GetCode() == channelpb.RefusalCode_INSUFFICIENT_FUNDS:
		bound.Below = wire.MilliSatoshi(a.GetRoute().GetAmountMsat())
	case r == nil && fromPayee(a):
		if code, _ := CodeOf(f); code == lnwire.CodeMPPTimeout {
			return router.Bound{}, false
		}
	}
	return bound, true
}

// isFull tells whether a channel of ours refused an HTLC for others that were on their way.
func isFull(f *pb.Failure) bool {
	switch f.GetRefused().GetCode() {
	case channelpb.RefusalCode_TOO_MANY_HTLCS, channelpb.RefusalCode_TOO_MUCH_IN_FLIGHT, channelpb.RefusalCode_TOO_MUCH_DUST:
		return true
	}
	return false
}
