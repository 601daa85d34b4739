package channel

import (
	"bytes"
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	btcwire "github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwire"
	"google.golang.org/protobuf/proto"

	"stormcell/actors/durable"
	"stormcell/chain/fees"
	"stormcell/chain/keys"
	pb "stormcell/messages/channel"
	"stormcell/peer/wire"
)

// Open asks for a channel with a peer that is connected. The answer is Opened, or OpenFailed.
type Open struct {
	Peer     [33]byte
	Link     uint64
	Features wire.Features // negotiated with the peer

	Chain       chainhash.Hash
	TemporaryID [32]byte // never used before with this peer
	KeyIndex    uint32   // never used before
	Funder      durable.Address

	Capacity       btcutil.Amount
	Push           wire.MilliSatoshi // a gift to the peer
	FeeRate        fees.SatPerKW     // of the commitments
	FundingFeeRate fees.SatPerKW
	Announce       bool
	ScidAlias      bool
	ShutdownScript []byte // to which alone the channel may close; may be empty
	CloseScript    []byte // to which it closes when nobody says otherwise
}

// Incoming brings a peer's `open_channel` to the address that the channel is to have. The answer is nil.
type Incoming struct {
	Peer     [33]byte
	Link     uint64
	Features wire.Features

	Chain          chainhash.Hash
	KeyIndex       uint32
	ShutdownScript []byte
	CloseScript    []byte
	Height         uint32 // of the chain
	Message        *wire.OpenChannel
}

// Opened answers Open once the funding transaction is on its way.
type Opened struct{ Outpoint btcwire.OutPoint }

// OpenFailed answers Open when nothing comes of it. Interrupted says that the connection ended before either side had promised
// anything: the same may be asked over the next.
type OpenFailed struct {
	Reason      string
	Interrupted bool
}

// abandonNow ends an opening that a restart has interrupted.
type abandonNow struct{}

// openingLate ends an opening that takes too long: it holds coins, or a place that others want.
type openingLate struct{}

// isOpening tells whether there is no channel yet: nothing of it could have been broadcast.
func isOpening(phase pb.Phase) bool {
	switch phase {
	case pb.Phase_WAIT_ACCEPT, pb.Phase_WAIT_FUNDING, pb.Phase_WAIT_FUNDING_SIGNED, pb.Phase_WAIT_FUNDING_CREATED:
		return true
	}
	return false
}

// contract gives our part of a new channel's contract, and our funding key.
func (t *turn) contract(peer [33]byte, opener bool, index uint32, terms Terms) (*pb.Contract, []byte, error) {
	basepoints, err := t.Signer.Basepoints(index)
	if err != nil {
		return nil, nil, fmt.Errorf("basepoints %d: %w", index, err)
	}
	key, err := t.Signer.FundingKey(index)
	if err != nil {
		return nil, nil, fmt.Errorf("funding key %d: %w", index, err)
	}
	return &pb.Contract{
		Peer: peer[:], Opener: opener, KeyIndex: index, Local: terms.proto(), LocalBasepoints: basepointsProto(basepoints),
	}, keyBytes(key), nil
}

// accepted enters the peer's part into a copy of the setup.
func accepted(s *pb.Setup, peer *proposal) *pb.Setup {
	s = proto.CloneOf(s)
	s.Contract.Remote = peer.terms.proto()
	s.Contract.RemoteBasepoints = basepointsProto(peer.basepoints)
	s.RemoteFundingKey, s.RemoteFirstPoint, s.RemoteShutdown = keyBytes(peer.fundingKey), keyBytes(peer.firstPoint), peer.shutdown
	return s
}

// funded enters the funding outpoint into a copy of the setup: now the channel has its id.
func funded(s *pb.Setup, outpoint btcwire.OutPoint) *pb.Setup {
	s = proto.CloneOf(s)
	s.Outpoint = &pb.Outpoint{Txid: outpoint.Hash[:], Index: outpoint.Index}
	id := lnwire.NewChanIDFromOutPoint(outpoint)
	s.Contract.ChannelId = id[:]
	return s
}

// commitments are the channel as it begins. The setup has the outpoint.
func (t *turn) commitments(s *pb.Setup) (*Commitments, error) {
	r := &reader{}
	c := &Commitments{
		Contract: r.contract(s.GetContract()), FeeRate: fees.SatPerKW(s.GetSatPerKw()), Revealed: keys.NewRevealedSecrets(),
		RemotePoint: r.key("first point", s.GetRemoteFirstPoint()),
	}
	var outpoint btcwire.OutPoint
	r.bytes("funding txid", outpoint.Hash[:], s.GetOutpoint().GetTxid())
	outpoint.Index = s.GetOutpoint().GetIndex()
	local, remote := r.key("funding key", s.GetLocalFundingKey()), r.key("funding key", s.GetRemoteFundingKey())
	if r.err != nil {
		return nil, r.err
	}
	capacity, push := btcutil.Amount(s.GetCapacitySat()), wire.MilliSatoshi(s.GetPushMsat())
	a := &Commitment{Funding: c.funding(outpoint, capacity, local, remote), FundingKey: c.KeyIndex}
	a.Balance[c.pays()], a.Balance[c.pays().Other()] = msat(capacity)-push, push
	c.Active = []*Commitment{a}
	return c, nil
}

// firstSignature is ours of the peer's first commitment.
func (t *turn) firstSignature(c *Commitments) (wire.Sig, error) {
	a := c.Active[0]
	commitment, err := a.Funding.Commitment(c.role(Remote), c.spec(a, Remote, 0, remoteLatest), c.RemotePoint)
	if err != nil {
		return wire.Sig{}, fmt.Errorf("build the peer's first commitment: %w", err)
	}
	signatures, err := t.Signer.Sign(commitment.CountersignRequests(a.FundingKey, c.KeyIndex))
	if err != nil {
		return wire.Sig{}, fmt.Errorf("sign the peer's first commitment: %w", err)
	}
	return signatures[0], nil
}

// begin makes the channel, of whose first commitment the peer sent us this signature.
func (t *turn) begin(s *pb.Setup, c *Commitments, signature wire.Sig) error {
	a := c.Active[0]
	first, err := c.localCommitment(a, 0, localLatest, t.Signer)
	if err != nil {
		return fmt.Errorf("build our first commitment: %w", err)
	}
	if err := first.VerifySignature(signature); err != nil {
		return violation("first commitment: %w: %w", ErrBadSignature, err)
	}
	a.Signature = signature
	t.event(&pb.Funded{Setup: s, Commitments: c.proto()})
	t.monitor(&pb.MonitorUpdate{
		Contract: s.GetContract(), Vouched: s.GetVouched(),
		Remote: c.signedCommitment(Remote, 0, remoteLatest, c.RemotePoint, nil),
		Local:  c.signedCommitment(Local, 0, localLatest, first.Point, []*pb.Signatures{signaturesProto(signature, nil)}),
	})
	t.stage(&pb.Synced{})
	t.release(watchFunding(s, c))
	return nil
}

// closedDepth is how deep a closing transaction must be before the channel is gone for good.
const closedDepth = 6

// watchFunding asks to be told of the funding transaction.
func watchFunding(s *pb.Setup, c *Commitments) WatchFunding {
	f := c.Active[0].Funding
	w := WatchFunding{
		Outpoint: f.Outpoint, Output: f.FundingOutput(), Depth: max(s.GetMinimumDepth(), 1), Spent: closedDepth,
		Since: s.GetSinceHeight(),
	}
	if hash := s.GetBlockHash(); len(hash) == chainhash.HashSize {
		at := lnwire.NewShortChanIDFromInt(s.GetScid())
		w.Told = &FundingConfirmed{Block: chainhash.Hash(hash), Height: at.BlockHeight, TxIndex: at.TxIndex}
	}
	return w
}

// abandon ends an opening: no channel came of it, and the coins are free.
func (t *turn) abandon(reason string) { t.endOpening(OpenFailed{Reason: reason}) }

// interrupt is abandon when a connection has ended.
func (t *turn) interrupt(reason string) {
	t.endOpening(OpenFailed{Reason: reason, Interrupted: t.phase == pb.Phase_WAIT_ACCEPT})
}

func (t *turn) endOpening(why OpenFailed) {
	if !isOpening(t.phase) {
		return
	}
	if t.phase == pb.Phase_WAIT_FUNDING || t.phase == pb.Phase_WAIT_FUNDING_SIGNED {
		t.send(durable.Address(t.setup.GetFunder()), &pb.FundingReleased{})
	}
	t.event(&pb.Abandoned{Reason: why.Reason})
	t.out.Done = true
	if t.opening.Waits() {
		t.release(durable.Reply{To: t.opening, Body: why})
	}
}

// setOpeningPatience gives an opening its time.
func (t *turn) setOpeningPatience() {
	t.release(durable.SetTimer{Key: late, After: t.Policy.OpeningPatience, Body: openingLate{}})
}

// giveUpOpening ends an opening whose peer leaves us waiting.
func (t *turn) giveUpOpening() {
	if isOpening(t.phase) {
		t.failOpening(fmt.Errorf("the opening was not done within %v", t.Policy.OpeningPatience))
	}
}

// failOpening tells the peer why, and abandons.
func (t *turn) failOpening(err error) {
	t.write(t.wireError(err))
	t.abandon(err.Error())
}

// fundingTx reads a transaction and checks that its output is the channel's.
func fundingTx(raw []byte, output uint32, want *btcwire.TxOut) (*btcwire.MsgTx, error) {
	tx, err := readTx(raw)
	if err != nil {
		return nil, fmt.Errorf("funding: %w", err)
	}
	if output > 0xffff || int(output) >= len(tx.TxOut) {
		return nil, fmt.Errorf("funding transaction has no output %d", output)
	}
	if !isFunding(tx.TxOut[output], want) {
		return nil, fmt.Errorf("output %d of the funding transaction is not the channel's", output)
	}
	for i, in := range tx.TxIn {
		if len(in.Witness) == 0 {
			return nil, fmt.Errorf("input %d of the funding transaction has no witness", i)
		}
	}
	return tx, nil
}

func isFunding(out, want *btcwire.TxOut) bool {
	return out.Value == want.Value && bytes.Equal(out.PkScript, want.PkScript)
}

// fundingOutput is what the funding transaction must have.
func fundingOutput(s *pb.Setup) *btcwire.TxOut {
	local, remote := mustKey(s.GetLocalFundingKey()), mustKey(s.GetRemoteFundingKey())
	f := (&Contract{}).funding(btcwire.OutPoint{}, btcutil.Amount(s.GetCapacitySat()), local, remote)
	return f.FundingOutput()
}

// mustKey reads a key that was valid when it was stored.
func mustKey(b []byte) *btcec.PublicKey {
	return must(func(r *reader) *btcec.PublicKey { return r.key("key", b) })
}
