package rpc

import (
	"bytes"
	"context"
	"crypto/sha256"
	"math"
	"slices"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/lightningnetwork/lnd/record"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	invoices "stormcell/actors/invoice"
	"stormcell/actors/payment"
	"stormcell/messages/lnrpc"
	"stormcell/messages/lnrpc/routerrpc"
	pb "stormcell/messages/payment"
	"stormcell/peer/bolt11"
	"stormcell/peer/wire"
)

const (
	// keysendRecord has the preimage of a payment that nobody asked for.
	keysendRecord = uint64(record.KeySendType)
	// firstCustomRecord is the first type that applications may use.
	firstCustomRecord = uint64(record.CustomTypeStart)
	// maxFirstChannels bounds the channels that a request names.
	maxFirstChannels = 1000
	// abortLimit is how long aborting a payment that its caller left may take.
	abortLimit = 10 * time.Second
)

// router is lnd's Router.
type router struct {
	routerrpc.UnimplementedRouterServer
	server *Server
}

func (s *router) payments() Payments { return s.server.node.Load().Payments }

// SendPaymentV2 implements routerrpc.RouterServer.
func (s *router) SendPaymentV2(r *routerrpc.SendPaymentRequest, out routerrpc.Router_SendPaymentV2Server) error {
	hash, want, err := s.payRequest(r, time.Now())
	if err != nil {
		return err
	}
	// It does not end with its caller, who else could leave a payment behind of which nobody knows whether it has begun.
	if _, err := s.payments().Pay(context.WithoutCancel(out.Context()), hash, want); err != nil {
		return paymentRefused(err)
	}
	err = s.payments().Track(out.Context(), hash, telling(out.Send, r.NoInflightUpdates))
	if r.Cancelable && out.Context().Err() != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(out.Context()), abortLimit)
		defer cancel()
		if err := s.payments().Abort(ctx, hash); err != nil {
			s.server.log.Info("a payment that its caller left could not be aborted", "error", err)
		}
	}
	if err != nil {
		return paymentRefused(err)
	}
	return nil
}

// TrackPaymentV2 implements routerrpc.RouterServer.
func (s *router) TrackPaymentV2(r *routerrpc.TrackPaymentRequest, out routerrpc.Router_TrackPaymentV2Server) error {
	hash, err := parseHash("payment_hash", r.PaymentHash)
	if err != nil {
		return err
	}
	if err := s.payments().Track(out.Context(), hash, telling(out.Send, r.NoInflightUpdates)); err != nil {
		return paymentRefused(err)
	}
	return nil
}

// TrackPayments implements routerrpc.RouterServer.
func (s *router) TrackPayments(r *routerrpc.TrackPaymentsRequest, out routerrpc.Router_TrackPaymentsServer) error {
	return paymentRefused(s.payments().TrackAll(out.Context(), telling(out.Send, r.NoInflightUpdates)))
}

// telling sends a payment, or only payments that have ended.
func telling(send func(*lnrpc.Payment) error, endsOnly bool) func(*pb.Payment) error {
	return func(p *pb.Payment) error {
		if endsOnly && payment.StatusOf(p) == pb.Status_IN_FLIGHT {
			return nil
		}
		return send(describePayment(p))
	}
}

// payRequest reads a request, and refuses what this node does not do. Its errors are for people.
func (s *router) payRequest(r *routerrpc.SendPaymentRequest, now time.Time) ([32]byte, *pb.Request, error) {
	var hash [32]byte
	if err := understood(r); err != nil {
		return hash, nil, err
	}
	switch {
	case r.TimeoutSeconds < 0:
		return hash, nil, status.Errorf(codes.InvalidArgument, "timeout_seconds: %d", r.TimeoutSeconds)
	case r.CltvLimit < 0:
		return hash, nil, status.Errorf(codes.InvalidArgument, "cltv_limit: %d", r.CltvLimit)
	case len(r.OutgoingChanIds) > maxFirstChannels:
		return hash, nil, status.Errorf(codes.InvalidArgument, "outgoing_chan_ids: %d are too many", len(r.OutgoingChanIds))
	}
	amount, err := parseAmount(r.Amt, r.AmtMsat)
	if err != nil {
		return hash, nil, err
	}
	// Who wants no limit says the largest number that there is, which is more than all coins.
	maxFee, err := parseAmount(min(r.FeeLimitSat, btcutil.MaxSatoshi), min(r.FeeLimitMsat, btcutil.MaxSatoshi*1000))
	if err != nil {
		return hash, nil, err
	}
	want := &pb.Request{
		AmountMsat: uint64(amount), MaxFeeMsat: uint64(maxFee), MaxDelta: uint32(r.CltvLimit), MaxParts: r.MaxParts,
		MaxPartMsat: r.MaxShardSizeMsat, TimeoutNs: int64(time.Duration(r.TimeoutSeconds) * time.Second),
		FirstChannels: r.OutgoingChanIds,
	}
	if r.PaymentRequest != "" {
		hash, err = s.fromInvoice(r, want, now)
	} else {
		hash, err = fromFields(r, want)
	}
	if err != nil {
		return hash, nil, err
	}
	switch toItself := bytes.Equal(want.Payee.Node, s.server.node.Load().Key.SerializeCompressed()); {
	case toItself && r.AllowSelfPayment:
		return hash, nil, status.Error(codes.Unimplemented, "allow_self_payment: this node does not pay itself")
	case toItself:
		return hash, nil, status.Error(codes.Unknown, "self-payments not allowed")
	}
	return hash, want, addRecords(r, want.Payee)
}

// fromInvoice takes from the payment request whom to pay.
func (s *router) fromInvoice(r *routerrpc.SendPaymentRequest, want *pb.Request, now time.Time) ([32]byte, error) {
	i, err := bolt11.Decode(r.PaymentRequest, s.server.o.Network.Params())
	if err != nil {
		return [32]byte{}, status.Error(codes.InvalidArgument, err.Error())
	}
	wrong := ""
	switch {
	case len(r.Dest) > 0:
		wrong = "dest and payment_request cannot appear together"
	case len(r.PaymentHash) > 0:
		wrong = "payment_hash and payment_request cannot appear together"
	case r.FinalCltvDelta != 0:
		wrong = "final_cltv_delta and payment_request cannot appear together"
	case len(r.PaymentAddr) > 0:
		wrong = "payment_addr and payment_request cannot appear together"
	case i.Amount == 0 && want.AmountMsat == 0:
		wrong = "amount must be specified when paying a zero amount invoice"
	case i.Amount != 0 && want.AmountMsat != 0:
		wrong = "amount must not be specified when paying a non-zero amount invoice"
	case i.Expired(now):
		wrong = "invoice expired. Valid until " + i.Timestamp.Add(i.Expiry).UTC().Format(time.RFC3339)
	}
	if wrong != "" {
		return [32]byte{}, status.Error(codes.InvalidArgument, wrong)
	}
	want.AmountMsat = max(want.AmountMsat, uint64(i.Amount))
	want.FinalDelta, want.Invoice = i.FinalCLTVDelta, r.PaymentRequest
	want.Payee = &pb.Payee{Node: i.Payee.SerializeCompressed(), Secret: i.PaymentSecret[:], Metadata: i.Metadata}
	if !i.Features.Offers(wire.BasicMPP) {
		want.MaxParts = 1
	}
	return i.PaymentHash, nil
}

// fromFields takes from the request's fields whom to pay.
func fromFields(r *routerrpc.SendPaymentRequest, want *pb.Request) ([32]byte, error) {
	if _, err := parseKeyBytes(r.Dest); err != nil {
		return [32]byte{}, err
	}
	if len(r.PaymentAddr) > 0 {
		if _, err := parseHash("payment_addr", r.PaymentAddr); err != nil {
			return [32]byte{}, err
		}
	}
	if want.AmountMsat == 0 {
		return [32]byte{}, status.Error(codes.InvalidArgument, "amount must be specified")
	}
	if r.FinalCltvDelta < 0 || r.FinalCltvDelta > math.MaxUint16 {
		return [32]byte{}, status.Errorf(codes.InvalidArgument, "final_cltv_delta: %d blocks", r.FinalCltvDelta)
	}
	if want.FinalDelta = uint32(r.FinalCltvDelta); want.FinalDelta == 0 {
		want.FinalDelta = invoices.DefaultPolicy().FinalCLTVDelta // as lnd: what the node itself would ask for
	}
	want.Payee = &pb.Payee{Node: r.Dest, Secret: r.PaymentAddr}
	if len(r.PaymentAddr) == 0 {
		want.MaxParts = 1 // nothing would hold several together
	}
	preimage, keysend := r.DestCustomRecords[keysendRecord]
	if !keysend {
		return parseHash("payment_hash", r.PaymentHash)
	}
	if _, err := parseHash("the keysend preimage", preimage); err != nil {
		return [32]byte{}, err
	}
	hash := sha256.Sum256(preimage)
	if len(r.PaymentHash) > 0 && !slices.Equal(hash[:], r.PaymentHash) {
		return hash, status.Error(codes.InvalidArgument, "the keysend preimage does not open payment_hash")
	}
	if r.MaxShardSizeMsat != 0 {
		return hash, status.Error(codes.InvalidArgument, "keysend payments cannot specify a max shard amount")
	}
	want.Payee.Keysend = preimage
	return hash, nil
}

// addRecords adds what an application wants the payee to be told.
func addRecords(r *routerrpc.SendPaymentRequest, payee *pb.Payee) error {
	for kind, value := range r.DestCustomRecords {
		switch {
		case kind == keysendRecord && len(payee.Keysend) > 0:
			continue
		case kind < firstCustomRecord || kind == keysendRecord:
			return status.Errorf(codes.InvalidArgument, "dest_custom_records: type %d cannot be used, those from %d on can",
				kind, firstCustomRecord)
		}
		payee.Records = append(payee.Records, &pb.Record{Type: kind, Value: value})
	}
	slices.SortFunc(payee.Records, func(a, b *pb.Record) int {
		if a.Type < b.Type {
			return -1
		}
		return 1
	})
	return nil
}
