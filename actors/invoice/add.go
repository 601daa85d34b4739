package invoice

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"stormcell/actors/durable"
	pb "stormcell/messages/invoice"
	"stormcell/peer/bolt11"
	"stormcell/peer/wire"
)

// maxFinalCLTVDelta is the most blocks that an invoice may ask for: two weeks. No channel takes HTLCs for longer.
const maxFinalCLTVDelta = 2016

// Features are what payers may use (BOLT 9).
func Features() wire.Features {
	return wire.Features{}.Require(wire.VarOnionOptin, wire.PaymentSecret).With(wire.BasicMPP)
}

// add makes an invoice.
func (t *turn) add(want Request) {
	if t.i != nil {
		t.refuse(ErrExists)
		return
	}
	i, err := t.invoice(want)
	if err != nil {
		t.refuse(err)
		return
	}
	t.i = i
	t.reply(i)
}

func (t *turn) invoice(want Request) (*pb.Invoice, error) {
	hash := hashOf(t.env.Self())
	if want.Preimage != nil && sha256.Sum256(want.Preimage[:]) != hash {
		return nil, ErrWrongPreimage
	}
	if want.Expiry == 0 {
		want.Expiry = t.Policy.Expiry
	}
	if want.FinalCLTVDelta == 0 {
		want.FinalCLTVDelta = t.Policy.FinalCLTVDelta
	}
	if d := want.FinalCLTVDelta; d < t.Policy.MinFinalCLTVDelta || d > maxFinalCLTVDelta {
		return nil, fmt.Errorf("%w: a final CLTV delta of %d blocks, want %d to %d",
			ErrBadRequest, d, t.Policy.MinFinalCLTVDelta, maxFinalCLTVDelta)
	}
	now := t.env.Now().Truncate(time.Second)
	request := &bolt11.Invoice{
		Network: t.Network, Amount: want.Amount, Timestamp: now, PaymentHash: hash,
		Description: want.Description, DescriptionHash: want.DescriptionHash,
		Expiry: want.Expiry.Truncate(time.Second), FinalCLTVDelta: want.FinalCLTVDelta,
		Fallback: want.Fallback, Hints: want.Hints, Features: Features(),
	}
	t.env.Random(request.PaymentSecret[:])
	text, err := bolt11.Encode(request, t.SignInvoice)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	i := &pb.Invoice{
		PaymentHash: hash[:], PaymentSecret: request.PaymentSecret[:], PaymentRequest: text,
		AmountMsat: uint64(want.Amount), CreatedNs: now.UnixNano(), ExpiryS: uint64(request.Expiry / time.Second),
		FinalCltvDelta: want.FinalCLTVDelta, Description: want.Description,
		Private: len(want.Hints) > 0, Hold: want.Hold || want.Preimage == nil,
	}
	if want.DescriptionHash != nil {
		i.DescriptionHash = bytes.Clone(want.DescriptionHash[:])
	}
	if want.Preimage != nil {
		i.Preimage = bytes.Clone(want.Preimage[:])
	}
	return i, nil
}

// hashOf is the payment hash that an address stands for.
func hashOf(self durable.Address) [32]byte {
	id := strings.TrimPrefix(string(self), Name+"/")
	hash, err := hex.DecodeString(id)
	if err != nil || len(hash) != 32 {
		panic(fmt.Sprintf("invoice: %s is no payment hash", self))
	}
	return [32]byte(hash)
}

// Lists of invoices: all that were added, all that were settled, and both of one hash. The keys end in the number of the commit.
const (
	addedPrefix   = "invoice/added/"
	settledPrefix = "invoice/settled/"
)

func ofPrefix(hash []byte) string { return "invoice/of/" + hex.EncodeToString(hash) + "/" }

// settles tells whether this turn settles the invoice.
func (t *turn) settles() bool {
	return t.i.GetStatus() == pb.Status_SETTLED && t.old.GetStatus() != pb.Status_SETTLED
}

// list enters an invoice into the lists as it is added, and as it is settled. By its hash one line says both where both come
// in one commit.
func (t *turn) list() {
	added, settled := t.old == nil, t.settles()
	put := func(prefix string, line *pb.Entry) {
		t.out.Put = append(t.out.Put, durable.Column{Key: prefix, Value: line, Numbered: true})
	}
	if added {
		put(addedPrefix, &pb.Entry{PaymentHash: t.i.PaymentHash})
	}
	if settled {
		put(settledPrefix, &pb.Entry{PaymentHash: t.i.PaymentHash, Settled: true})
	}
	if added || settled {
		put(ofPrefix(t.i.PaymentHash), &pb.Entry{Settled: settled})
	}
}
