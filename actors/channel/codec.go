package channel

import (
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil"
	btcwire "github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwire"

	"stormcell/actors/durable"
	"stormcell/chain/bolt3"
	"stormcell/chain/fees"
	"stormcell/chain/keys"
	pb "stormcell/messages/channel"
	"stormcell/peer/wire"
)

// reader turns stored fields into values, and remembers the first that it cannot read.
type reader struct{ err error }

func (r *reader) fail(what string, err error) {
	if r.err == nil {
		r.err = fmt.Errorf("stored %s: %w", what, err)
	}
}

// bytes fills dst, whose length the field must have.
func (r *reader) bytes(what string, dst, src []byte) {
	if len(src) != len(dst) {
		r.fail(what, fmt.Errorf("%d bytes, want %d", len(src), len(dst)))
		return
	}
	copy(dst, src)
}

func (r *reader) key(what string, b []byte) *btcec.PublicKey {
	key, err := btcec.ParsePubKey(b)
	if err != nil {
		r.fail(what, err)
	}
	return key
}

// optionalKey is nil for an empty field.
func (r *reader) optionalKey(what string, b []byte) *btcec.PublicKey {
	if len(b) == 0 {
		return nil
	}
	return r.key(what, b)
}

func (r *reader) signature(b []byte) wire.Sig {
	sig, err := lnwire.NewSigFromWireECDSA(b)
	if err != nil {
		r.fail("signature", err)
	}
	return sig
}

func (r *reader) signatures(bs [][]byte) []wire.Sig {
	sigs := make([]wire.Sig, len(bs))
	for i, b := range bs {
		sigs[i] = r.signature(b)
	}
	return sigs
}

func keyBytes(key *btcec.PublicKey) []byte {
	if key == nil {
		return nil
	}
	return key.SerializeCompressed()
}

// sigBytes copies a signature: RawBytes gives its own memory.
func sigBytes(s wire.Sig) []byte { return append([]byte(nil), s.RawBytes()...) }

func signaturesProto(commitment wire.Sig, htlcs []wire.Sig) *pb.Signatures {
	out := &pb.Signatures{Signature: sigBytes(commitment)}
	for _, s := range htlcs {
		out.HtlcSignatures = append(out.HtlcSignatures, sigBytes(s))
	}
	return out
}

func (t *Terms) proto() *pb.Terms {
	return &pb.Terms{
		DustLimitSat: uint64(t.DustLimit), MaxHtlcValueInFlightMsat: uint64(t.MaxHTLCValueInFlight),
		ReserveSat: uint64(t.Reserve), HtlcMinimumMsat: uint64(t.HTLCMinimum),
		MaxAcceptedHtlcs: uint32(t.MaxAcceptedHTLCs), ToSelfDelay: uint32(t.ToSelfDelay),
	}
}

func termsOf(p *pb.Terms) Terms {
	return Terms{
		DustLimit: btcutil.Amount(p.GetDustLimitSat()), MaxHTLCValueInFlight: wire.MilliSatoshi(p.GetMaxHtlcValueInFlightMsat()),
		Reserve: btcutil.Amount(p.GetReserveSat()), HTLCMinimum: wire.MilliSatoshi(p.GetHtlcMinimumMsat()),
		MaxAcceptedHTLCs: uint16(p.GetMaxAcceptedHtlcs()), ToSelfDelay: uint16(p.GetToSelfDelay()),
	}
}

func basepointsProto(b keys.Basepoints) *pb.Basepoints {
	return &pb.Basepoints{
		Revocation: keyBytes(b.Revocation), Htlc: keyBytes(b.HTLC), Payment: keyBytes(b.Payment),
		DelayedPayment: keyBytes(b.DelayedPayment),
	}
}

func (r *reader) basepoints(p *pb.Basepoints) keys.Basepoints {
	return keys.Basepoints{
		Revocation: r.key("revocation basepoint", p.GetRevocation()), HTLC: r.key("HTLC basepoint", p.GetHtlc()),
		Payment:        r.key("payment basepoint", p.GetPayment()),
		DelayedPayment: r.key("delayed payment basepoint", p.GetDelayedPayment()),
	}
}

func (c *Contract) proto() *pb.Contract {
	return &pb.Contract{
		Peer: c.Peer[:], Opener: c.Opener, KeyIndex: c.KeyIndex,
		Local: c.Terms[Local].proto(), Remote: c.Terms[Remote].proto(),
		LocalBasepoints: basepointsProto(c.Basepoints[Local]), RemoteBasepoints: basepointsProto(c.Basepoints[Remote]),
		ChannelId: c.ChannelID[:],
	}
}

func (r *reader) contract(p *pb.Contract) Contract {
	c := Contract{
		Opener: p.GetOpener(), KeyIndex: p.GetKeyIndex(),
		Terms:      [2]Terms{termsOf(p.GetLocal()), termsOf(p.GetRemote())},
		Basepoints: [2]keys.Basepoints{r.basepoints(p.GetLocalBasepoints()), r.basepoints(p.GetRemoteBasepoints())},
	}
	r.bytes("peer", c.Peer[:], p.GetPeer())
	r.bytes("channel id", c.ChannelID[:], p.GetChannelId())
	return c
}

func (c *Commitments) commitmentProto(a *Commitment, balance [2]wire.MilliSatoshi) *pb.Commitment {
	parties := &a.Funding.Parties
	return &pb.Commitment{
		Outpoint:    &pb.Outpoint{Txid: a.Funding.Outpoint.Hash[:], Index: a.Funding.Outpoint.Index},
		CapacitySat: uint64(a.Funding.Capacity), FundingKeyIndex: a.FundingKey,
		LocalFundingKey:  keyBytes(parties[c.role(Local)].FundingKey),
		RemoteFundingKey: keyBytes(parties[c.role(Remote)].FundingKey),
		LocalMsat:        uint64(balance[Local]), RemoteMsat: uint64(balance[Remote]),
	}
}

// funding gives the BOLT 3 view of a funding under the contract.
func (c *Contract) funding(
	outpoint btcwire.OutPoint, capacity btcutil.Amount, local, remote *btcec.PublicKey,
) *bolt3.Channel {
	party := func(s Side, key *btcec.PublicKey) bolt3.Party {
		return bolt3.Party{
			FundingKey: key, Basepoints: c.Basepoints[s], DustLimit: c.Terms[s].DustLimit,
			ToSelfDelay: c.Terms[s.Other()].ToSelfDelay,
		}
	}
	f := &bolt3.Channel{Outpoint: outpoint, Capacity: capacity}
	opener, accepter := party(Local, local), party(Remote, remote)
	if !c.Opener {
		opener, accepter = accepter, opener
	}
	f.Parties = [2]bolt3.Party{bolt3.Opener: opener, bolt3.Accepter: accepter}
	return f
}

func (r *reader) commitment(c *Contract, p *pb.Commitment) *Commitment {
	a := r.fundingOf(c, p)
	a.Signature, a.HTLCSignatures = r.signature(p.GetSignature()), r.signatures(p.GetHtlcSignatures())
	return a
}

// fundingOf reads a commitment without its signatures.
func (r *reader) fundingOf(c *Contract, p *pb.Commitment) *Commitment {
	var outpoint btcwire.OutPoint
	r.bytes("funding txid", outpoint.Hash[:], p.GetOutpoint().GetTxid())
	outpoint.Index = p.GetOutpoint().GetIndex()
	return &Commitment{
		Funding: c.funding(outpoint, btcutil.Amount(p.GetCapacitySat()),
			r.key("funding key", p.GetLocalFundingKey()), r.key("funding key", p.GetRemoteFundingKey())),
		FundingKey: p.GetFundingKeyIndex(),
		Balance:    [2]wire.MilliSatoshi{wire.MilliSatoshi(p.GetLocalMsat()), wire.MilliSatoshi(p.GetRemoteMsat())},
	}
}

func (m *Malformed) proto() *pb.Malformed {
	return &pb.Malformed{OnionHash: m.OnionHash[:], Code: uint32(m.Code)}
}

func (r *reader) malformed(p *pb.Malformed) *Malformed {
	m := &Malformed{Code: uint16(p.GetCode())}
	r.bytes("onion hash", m.OnionHash[:], p.GetOnionHash())
	return m
}

func (m *Removal) proto() *pb.Removal {
	out := &pb.Removal{Progress: pb.Progress(m.Progress)}
	switch {
	case m.Preimage != nil:
		out.Outcome = &pb.Removal_Preimage{Preimage: m.Preimage[:]}
	case m.Malformed != nil:
		out.Outcome = &pb.Removal_Malformed{Malformed: m.Malformed.proto()}
	default:
		out.Outcome = &pb.Removal_Reason{Reason: m.Reason}
	}
	return out
}

func (r *reader) preimage(b []byte) *[32]byte {
	var out [32]byte
	r.bytes("preimage", out[:], b)
	return &out
}

func (r *reader) removal(p *pb.Removal) *Removal {
	out := &Removal{Progress: Progress(p.GetProgress())}
	switch outcome := p.GetOutcome().(type) {
	case *pb.Removal_Preimage:
		out.Preimage = r.preimage(outcome.Preimage)
	case *pb.Removal_Malformed:
		out.Malformed = r.malformed(outcome.Malformed)
	case *pb.Removal_Reason:
		out.Reason = outcome.Reason
	}
	return out
}

func (h *HTLC) proto() *pb.HTLC {
	out := &pb.HTLC{
		By: h.By.proto(), Id: h.ID, AmountMsat: uint64(h.Amount), PaymentHash: h.PaymentHash[:], Expiry: h.Expiry,
		Onion: h.Onion, PathKey: h.PathKey, Add: pb.Progress(h.Add), Origin: string(h.Origin), Tag: h.Tag,
		OverExposed: h.OverExposed,
	}
	if h.Removal != nil {
		out.Removal = h.Removal.proto()
	}
	if h.Preimage != nil {
		out.Preimage = h.Preimage[:]
	}
	return out
}

func (r *reader) htlc(p *pb.HTLC) *HTLC {
	h := &HTLC{
		By: sideOf(p.GetBy()), ID: p.GetId(), Amount: wire.MilliSatoshi(p.GetAmountMsat()), Expiry: p.GetExpiry(),
		Onion: p.GetOnion(), PathKey: p.GetPathKey(), Add: Progress(p.GetAdd()), Origin: durable.Address(p.GetOrigin()),
		Tag: p.GetTag(), OverExposed: p.GetOverExposed(),
	}
	r.bytes("payment hash", h.PaymentHash[:], p.GetPaymentHash())
	if p.GetRemoval() != nil {
		h.Removal = r.removal(p.GetRemoval())
	}
	if len(p.GetPreimage()) > 0 {
		h.Preimage = r.preimage(p.GetPreimage())
	}
	return h
}

// proto is what is stored: without what is only staged.
func (c *Commitments) proto() *pb.Commitments {
	out := &pb.Commitments{
		Contract: c.Contract.proto(), LocalNextId: c.NextID[Local], RemoteNextId: c.NextID[Remote],
		SatPerKw: uint32(c.FeeRate), LocalNumber: c.LocalNumber, RemoteNumber: c.RemoteNumber,
		Awaiting: c.Awaiting, SignedAfter: c.SignedAfter,
		RemotePoint: keyBytes(c.RemotePoint), RemoteNextPoint: keyBytes(c.RemoteNextPoint),
		RevealedSecrets: c.Revealed.Bytes(), SentMsat: uint64(c.Sent), ReceivedMsat: uint64(c.Received),
	}
	for _, a := range c.Active {
		stored, signatures := c.commitmentProto(a, a.Balance), signaturesProto(a.Signature, a.HTLCSignatures)
		stored.Signature, stored.HtlcSignatures = signatures.Signature, signatures.HtlcSignatures
		out.Active = append(out.Active, stored)
	}
	for _, list := range c.HTLCs {
		for _, h := range list {
			if h.Add == Proposed {
				continue
			}
			stored := h.proto()
			if h.By == Local && h.Removal != nil && h.Removal.Progress == Proposed {
				stored.Removal = nil
			}
			out.Htlcs = append(out.Htlcs, stored)
		}
	}
	for _, f := range c.FeeChanges {
		if f.Progress > Proposed {
			out.FeeChanges = append(out.FeeChanges, &pb.FeeChange{SatPerKw: uint32(f.Rate), Progress: pb.Progress(f.Progress)})
		}
	}
	return out
}

func (r *reader) commitments(p *pb.Commitments) *Commitments {
	c := &Commitments{
		Contract: r.contract(p.GetContract()), NextID: [2]uint64{p.GetLocalNextId(), p.GetRemoteNextId()},
		FeeRate: fees.SatPerKW(p.GetSatPerKw()), LocalNumber: p.GetLocalNumber(), RemoteNumber: p.GetRemoteNumber(),
		Awaiting: p.GetAwaiting(), SignedAfter: p.GetSignedAfter(),
		RemotePoint:     r.key("per-commitment point", p.GetRemotePoint()),
		RemoteNextPoint: r.optionalKey("per-commitment point", p.GetRemoteNextPoint()),
		Sent:            wire.MilliSatoshi(p.GetSentMsat()), Received: wire.MilliSatoshi(p.GetReceivedMsat()),
	}
	revealed, err := keys.ParseRevealedSecrets(p.GetRevealedSecrets())
	if err != nil {
		r.fail("secrets", err)
	}
	c.Revealed = revealed
	for _, a := range p.GetActive() {
		c.Active = append(c.Active, r.commitment(&c.Contract, a))
	}
	for _, h := range p.GetHtlcs() {
		htlc := r.htlc(h)
		c.HTLCs[htlc.By] = append(c.HTLCs[htlc.By], htlc)
	}
	for _, f := range p.GetFeeChanges() {
		c.FeeChanges = append(c.FeeChanges, FeeChange{Rate: fees.SatPerKW(f.GetSatPerKw()), Progress: Progress(f.GetProgress())})
	}
	return c
}
