package payment

import (
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/lightningnetwork/lnd/lnwire"

	pb "stormcell/messages/payment"
	"stormcell/peer/onion"
	"stormcell/peer/wire"
)

// longestKept bounds what is kept of a failure, in bytes: whoever sends it chooses its length, and 292 are usual.
const longestKept = 2048

// buildOnion wraps what each node of the route is told. The same launch gives the same onion.
func buildOnion(want *pb.Launch) ([]byte, error) {
	hops := want.GetAttempt().GetRoute().GetHops()
	route := make([]onion.Hop, len(hops))
	for i, h := range hops {
		key, err := btcec.ParsePubKey(h.GetNode())
		if err != nil {
			return nil, fmt.Errorf("hop %d: %w", i, err)
		}
		route[i] = onion.Hop{Key: key, Payload: onion.Payload{
			Amount: wire.MilliSatoshi(h.GetAmountMsat()), Expiry: h.GetExpiry(),
		}}
		if i+1 < len(hops) {
			route[i].Payload.Channel = lnwire.NewShortChanIDFromInt(hops[i+1].GetScid())
		}
	}
	if len(route) > 0 {
		tellPayee(&route[len(route)-1].Payload, want)
	}
	packet, err := onion.Build(sessionKey(want.GetAttempt()), route, [32]byte(want.GetHash()))
	if err != nil {
		return nil, err
	}
	return packet[:], nil
}

// sessionKey is what the onion of an attempt was made with, without its public key, which takes a while.
func sessionKey(a *pb.Attempt) *btcec.PrivateKey {
	var key btcec.ModNScalar
	key.SetByteSlice(a.GetSessionKey())
	return btcec.PrivKeyFromScalar(&key)
}

// tellPayee adds what only the payee is told.
func tellPayee(p *onion.Payload, want *pb.Launch) {
	payee := want.GetPayee()
	if len(payee.GetSecret()) == 32 {
		p.Payment = &onion.PaymentData{
			Secret: [32]byte(payee.GetSecret()), Total: wire.MilliSatoshi(want.GetTotalMsat()),
		}
	}
	if len(payee.GetMetadata()) > 0 {
		p.Metadata = payee.GetMetadata()
	}
	if len(payee.GetKeysend()) == 32 {
		preimage := [32]byte(payee.GetKeysend())
		p.Keysend = &preimage
	}
	for _, r := range payee.GetRecords() {
		p.Custom = append(p.Custom, onion.Record{Type: r.GetType(), Value: r.GetValue()})
	}
}

// readFailure finds out which node of the route wrote a failure.
func readFailure(a *pb.Attempt, reason []byte) *pb.Failure {
	f := &pb.Failure{Cause: &pb.Failure_Reason{Reason: reason[:min(len(reason), longestKept)]}}
	var route []*btcec.PublicKey
	for _, h := range a.GetRoute().GetHops() {
		key, err := btcec.ParsePubKey(h.GetNode())
		if err != nil {
			f.Unreadable = true
			return f
		}
		route = append(route, key)
	}
	opened, err := onion.Decrypt(sessionKey(a), route, reason)
	if err != nil {
		f.Unreadable = true
		return f
	}
	f.Hop, f.Message = uint32(opened.Hop)+1, opened.Plain[:min(len(opened.Plain), longestKept)]
	return f
}
