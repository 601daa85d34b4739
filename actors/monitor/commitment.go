package monitor

import (
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"
	btcwire "github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwire"
	"google.golang.org/protobuf/proto"

	"stormcell/actors/channel"
	"stormcell/actors/durable"
	"stormcell/chain/bolt3"
	"stormcell/chain/keys"
	channelpb "stormcell/messages/channel"
	pb "stormcell/messages/monitor"
)

// Signed answers Latest.
type Signed struct {
	Number uint64
	Txs    []*btcwire.MsgTx // one for each funding, ready to be published
}

// Why a monitor gives no commitment.
var (
	ErrBehind   = errors.New("this node has lost state of the channel: its commitment may be revoked, and is not published")
	ErrDoubted  = errors.New("the node's data may be an old copy: its commitment is not published until the peer shows that it is not")
	ErrFinished = errors.New("the channel is closed")
)

// latest is the last commitment of ours that the peer signed and that we have not revoked.
func (h *holdings) latest(signer keys.Signer, doubt uint64) (Signed, error) {
	switch {
	case h.behind:
		return Signed{}, ErrBehind
	case h.vouched < doubt:
		return Signed{}, ErrDoubted
	case h.finished:
		return Signed{}, ErrFinished
	}
	point, err := btcec.ParsePubKey(h.local.GetPoint())
	if err != nil {
		return Signed{}, fmt.Errorf("point of commitment %d: %w", h.local.GetNumber(), err)
	}
	built, err := channel.Rebuild(h.contract, channel.Local, h.local, point)
	if err != nil {
		return Signed{}, err
	}
	out := Signed{Number: h.local.GetNumber()}
	for i, on := range h.local.GetActive() {
		theirs, err := lnwire.NewSigFromWireECDSA(on.GetSignature())
		if err != nil {
			return Signed{}, fmt.Errorf("signature of commitment %d: %w", out.Number, err)
		}
		own, err := signer.Sign([]keys.SignRequest{built[i].SignRequest(on.GetFundingKeyIndex())})
		if err != nil {
			return Signed{}, fmt.Errorf("sign commitment %d: %w", out.Number, err)
		}
		out.Txs = append(out.Txs, built[i].Signed(own[0], theirs))
	}
	return out, nil
}

// RevokedKey is the column of a commitment that the peer revoked.
func RevokedKey(self durable.Address, number uint64) string {
	return fmt.Sprintf("%s/revoked/%012x", self, number)
}

// column is what is to be kept of the commitment that a piece of news revokes; nil when it revokes none. A revocation of
// anything but the peer's present commitment is a bug in the channel, and is not passed over.
func (h *holdings) column(news proto.Message, self durable.Address) *durable.Column {
	update, ok := news.(*channelpb.MonitorUpdate)
	if !ok || update.GetRevocation() == nil {
		return nil
	}
	r := update.GetRevocation()
	if h.remote == nil || h.next == nil || h.remote.GetNumber() != r.GetNumber() {
		panic(fmt.Sprintf("monitor: commitment %d is revoked, where %d is the peer's", r.GetNumber(), h.remote.GetNumber()))
	}
	c := &channelpb.SignedCommitment{
		Number: r.GetNumber(), SatPerKw: h.remote.GetSatPerKw(), Active: h.remote.GetActive(),
		Htlcs: make([]*channelpb.CommittedHTLC, len(h.remote.GetHtlcs())),
	}
	for i, on := range h.remote.GetHtlcs() {
		c.Htlcs[i] = &channelpb.CommittedHTLC{
			By: on.GetBy(), Id: on.GetId(), AmountMsat: on.GetAmountMsat(), PaymentHash: on.GetPaymentHash(), Expiry: on.GetExpiry(),
		}
	}
	return &durable.Column{Key: RevokedKey(self, r.GetNumber()), Value: &pb.Revoked{Commitment: c, Secret: r.GetSecret()}}
}

// Rebuild gives the transactions of a revoked state, one for each funding, with all their outputs, and the secret that
// punishes their publication.
func Rebuild(contract *channelpb.Contract, revoked *pb.Revoked) ([]*bolt3.Commitment, keys.Secret, error) {
	if len(revoked.GetSecret()) != len(keys.Secret{}) {
		return nil, keys.Secret{}, fmt.Errorf("stored secret of %d bytes", len(revoked.GetSecret()))
	}
	secret := keys.Secret(revoked.GetSecret())
	built, err := channel.Rebuild(contract, channel.Remote, revoked.GetCommitment(), secret.Point())
	return built, secret, err
}
