package invoice

import (
	"crypto/sha256"
	"errors"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"

	"stormcell/actors/channel"
	"stormcell/actors/durable"
	channelpb "stormcell/messages/channel"
	durablepb "stormcell/messages/durable"
	pb "stormcell/messages/invoice"
	"stormcell/peer/bolt11"
	"stormcell/peer/onion"
)

func TestAdd(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.add(nil)
	i := h.state.stored
	require.True(t, h.done, "an invoice that nobody pays sleeps")
	decoded, err := bolt11.Decode(i.GetPaymentRequest(), &chaincfg.RegressionNetParams)
	require.NoError(t, err)
	require.Equal(t, theHash, decoded.PaymentHash)
	require.Equal(t, i.GetPaymentSecret(), decoded.PaymentSecret[:])
	require.NotZero(t, decoded.PaymentSecret)
	require.Equal(t, lnwire.MilliSatoshi(theAmount), decoded.Amount)
	require.Equal(t, "tea", decoded.Description)
	require.Equal(t, 24*time.Hour, decoded.Expiry)
	require.Equal(t, uint32(80), decoded.FinalCLTVDelta)
	require.Equal(t, h.now.Unix(), decoded.Timestamp.Unix())
	require.True(t, nodePub.IsEqual(decoded.Payee))
	require.True(t, h.now.Truncate(time.Second).Add(24*time.Hour).Equal(decoded.Timestamp.Add(decoded.Expiry)))
	require.Len(t, h.columns, 2)

	require.ErrorIs(t, h.ask(Add{Request{Preimage: &thePreimage}}), ErrExists)
	require.Len(t, h.columns, 2)
}

func TestAddRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		edit func(*Request)
		want error
	}{
		"another preimage":      {func(r *Request) { r.Preimage = &[32]byte{9} }, ErrWrongPreimage},
		"a delta of no use":     {func(r *Request) { r.FinalCLTVDelta = 21 }, ErrBadRequest},
		"a delta of years":      {func(r *Request) { r.FinalCLTVDelta = 2017 }, ErrBadRequest},
		"two descriptions":      {func(r *Request) { r.DescriptionHash = &[32]byte{} }, bolt11.ErrInvalid},
		"all bitcoins and more": {func(r *Request) { r.Amount = bolt11.MaxAmount + 1 }, bolt11.ErrInvalid},
		"no time":               {func(r *Request) { r.Expiry = time.Millisecond }, bolt11.ErrInvalid},
	}
	for name, test := range tests {
		h := newHost(t)
		want := Request{Preimage: &thePreimage, Description: "tea"}
		test.edit(&want)
		require.ErrorIs(t, h.ask(Add{want}), test.want, name)
		require.Nil(t, h.snapshot, name)
	}
}

func TestPaidInOnePart(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.add(nil)
	h.receive(h.pay("channel/1", 4, theAmount, func(p *part) {
		p.payload.Custom = []onion.Record{{Type: 65537, Value: []byte("hi")}}
	}))
	h.claimed("channel/1 4")
	i := h.state.stored
	require.Equal(t, pb.Status_SETTLED, i.GetStatus())
	require.Equal(t, uint64(theAmount), i.GetPaidMsat())
	require.Equal(t, h.now.UnixNano(), i.GetClosedNs())
	require.Len(t, i.GetHtlcs(), 1)
	require.Equal(t, pb.HTLCState_CLAIMED, i.GetHtlcs()[0].GetState())
	require.Empty(t, i.GetHtlcs()[0].GetSecret(), "it is of no more use")
	require.Equal(t, []byte("hi"), i.GetHtlcs()[0].GetRecords()[0].GetValue())
	require.True(t, h.done)
	require.Len(t, h.columns, 4)
}

func TestAmounts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name          string
		asked         lnwire.MilliSatoshi
		amount, total lnwire.MilliSatoshi
		settled       bool
		paid          uint64
	}{
		{"exactly", theAmount, theAmount, theAmount, true, theAmount},
		{"less", theAmount, theAmount - 1, theAmount - 1, false, 0},
		{"less in all", theAmount, theAmount, theAmount - 1, false, 0},
		{"twice", theAmount, 2 * theAmount, 2 * theAmount, true, 2 * theAmount},
		{"more than twice", theAmount, 2*theAmount + 1, 2*theAmount + 1, false, 0},
		{"more than it says", theAmount, theAmount + 5, theAmount, true, theAmount + 5},
		{"any", 0, 12_345, 12_345, true, 12_345},
		{"nothing", 0, 0, 0, false, 0},
		{"a total of nothing", 0, 5, 0, false, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			h.add(func(r *Request) { r.Amount = test.asked })
			h.receive(h.pay("channel/1", 0, test.amount, func(p *part) { p.payload.Payment.Total = test.total }))
			if !test.settled {
				h.failed(lnwire.CodeIncorrectOrUnknownPaymentDetails, "channel/1 0")
				require.Equal(t, pb.Status_OPEN, h.status())
				return
			}
			h.claimed("channel/1 0")
			require.Equal(t, test.paid, h.state.stored.GetPaidMsat())
		})
	}
}

// TestNotWelcome: what is failed at once, and how.
func TestNotWelcome(t *testing.T) {
	t.Parallel()
	unknown := lnwire.FailCode(lnwire.CodeIncorrectOrUnknownPaymentDetails)
	tests := []struct {
		name   string
		before func(*host)
		edit   func(*part)
		code   lnwire.FailCode
	}{
		{"too much dust", nil, func(p *part) { p.exposed = true }, lnwire.CodeTemporaryNodeFailure},
		{"channel closing", nil, func(p *part) { p.closing = true }, lnwire.CodeTemporaryNodeFailure},
		{"for somebody else", nil, func(p *part) { p.final = false }, lnwire.CodeUnknownNextPeer},
		{"less than the onion says", nil, func(p *part) { p.amount-- }, lnwire.CodeFinalIncorrectHtlcAmount},
		{"sooner than the onion says", nil, func(p *part) { p.expiry-- }, lnwire.CodeFinalIncorrectCltvExpiry},
		{"another secret", nil, func(p *part) { p.payload.Payment.Secret[31] ^= 1 }, unknown},
		{"no secret", nil, func(p *part) { p.payload.Payment = nil }, unknown},
		{"its preimage for a secret", nil, func(p *part) { p.payload.Payment, p.payload.Keysend = nil, &thePreimage }, unknown},
		{"too little time", nil, func(p *part) { p.expiry, p.payload.Expiry = theHeight+79, theHeight }, unknown},
		{"expired", func(h *host) { h.now = h.now.Add(25 * time.Hour) }, nil, unknown},
		{"cancelled", func(h *host) { require.NoError(h.t, h.ask(Cancel{})) }, nil, unknown},
		{"paid", func(h *host) { h.receive(h.pay("channel/9", 9, theAmount)); h.claimed("channel/9 9") }, nil, unknown},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			h.add(nil)
			var edits []func(*part)
			if test.edit != nil {
				edits = append(edits, test.edit)
			}
			p := h.pay("channel/1", 0, theAmount, edits...)
			if test.before != nil {
				test.before(h)
			}
			status := h.status()
			h.receive(p)
			h.failed(test.code, "channel/1 0")
			require.Equal(t, status, h.status())

			h.receive(p)
			h.failed(h.codeAgain(test.code), "channel/1 0")
			require.LessOrEqual(t, len(h.state.stored.GetHtlcs()), 2)
		})
	}
}

// codeAgain is how an HTLC is failed that was failed before: what is remembered of it is only that.
func (h *host) codeAgain(first lnwire.FailCode) lnwire.FailCode {
	for _, htlc := range h.state.stored.GetHtlcs() {
		if htlc.GetChannel() == "channel/1" {
			return lnwire.CodeIncorrectOrUnknownPaymentDetails
		}
	}
	return first
}

func TestFailureSaysAmountAndHeight(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.receive(h.pay("channel/1", 0, 777))
	got := h.failures()["channel/1 0"]
	require.Len(t, got, 1)
	details, ok := got[0].(*lnwire.FailIncorrectDetails)
	require.True(t, ok)
	require.Equal(t, lnwire.MilliSatoshi(777), details.Amount())
	require.Equal(t, uint32(theHeight), details.Height())
	require.Nil(t, h.snapshot, "nothing is stored for an unknown hash")
	require.Empty(t, h.columns)
}

func TestOnionsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.add(nil)
	for name, test := range map[string]struct {
		edit func(*part)
		code lnwire.FailCode
	}{
		"damaged": {func(p *part) { p.damage = true }, lnwire.CodeInvalidOnionHmac},
		"blinded": {func(p *part) { p.pathKey = nodePub.SerializeCompressed() }, lnwire.CodeInvalidBlinding},
	} {
		m := h.message(h.pay("channel/1", 3, theAmount, test.edit))
		require.NoError(t, h.step(m))
		sent := h.takeSent()
		require.Len(t, sent, 1, name)
		fail := sent[0].Body.(*channelpb.FailMalformedHTLC)
		onionHash := sha256.Sum256(m.Body.(*channelpb.IncomingHTLC).GetOnion())
		require.Equal(t, uint64(3), fail.GetId(), name)
		require.Equal(t, uint32(test.code), fail.GetMalformed().GetCode(), name)
		require.Equal(t, onionHash[:], fail.GetMalformed().GetOnionHash(), name)
		require.Equal(t, durable.Address("channel/1"), sent[0].To, name)
	}

	h.receive(h.pay("channel/1", 4, theAmount, func(p *part) {
		p.payload.RecipientData, p.payload.Payment, p.payload.TotalAmount = []byte{1}, nil, theAmount
	}))
	h.failed(lnwire.CodeIncorrectOrUnknownPaymentDetails, "channel/1 4")
}

// A signer that is away is no reason to fail an HTLC: the step is tried again.
func TestSignerThatIsAway(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.add(nil)
	m := h.message(h.pay("channel/1", 0, theAmount))
	h.core.ECDH = func(*btcec.PublicKey) ([32]byte, error) { return [32]byte{}, errors.New("away") }
	require.Panics(t, func() { _ = h.step(m) })
	h.core.SignInvoice = func([]byte) ([]byte, error) { return nil, errors.New("away") }
	other := newHost(t)
	other.core.SignInvoice = h.core.SignInvoice
	require.ErrorContains(t, other.ask(Add{Request{Preimage: &thePreimage}}), "away")
}

func TestKeysend(t *testing.T) {
	t.Parallel()
	keysend := func(p *part) {
		p.payload.Payment, p.payload.Keysend = nil, &thePreimage
		p.payload.Custom = []onion.Record{{Type: 34349334, Value: []byte("hello")}}
	}
	t.Run("taken", func(t *testing.T) {
		t.Parallel()
		h := newHost(t)
		h.receive(h.pay("channel/1", 2, 5_000, keysend))
		h.claimed("channel/1 2")
		i := h.state.stored
		require.True(t, i.GetKeysend())
		require.Equal(t, uint64(5_000), i.GetPaidMsat())
		require.Equal(t, thePreimage[:], i.GetPreimage())
		require.Equal(t, []byte("hello"), i.GetHtlcs()[0].GetRecords()[0].GetValue())
		require.Len(t, h.columns, 3, "added and settled at once")
		require.True(t, h.done)

		h.receive(h.pay("channel/1", 3, 5_000, keysend))
		h.failed(lnwire.CodeIncorrectOrUnknownPaymentDetails, "channel/1 3")
		require.ErrorIs(t, h.ask(Add{Request{Preimage: &thePreimage}}), ErrExists)
	})
	for name, edit := range map[string]func(*host, *part){
		"not allowed":      func(h *host, _ *part) { h.core.Policy.Keysend = false },
		"another preimage": func(_ *host, p *part) { p.payload.Keysend = &[32]byte{5} },
		"in parts":         func(_ *host, p *part) { p.payload.Payment = &onion.PaymentData{Total: 5_001} },
		"too little time":  func(_ *host, p *part) { p.expiry, p.payload.Expiry = theHeight+21, 0 },
		"at the end of a blinded path": func(_ *host, p *part) {
			p.payload.RecipientData, p.payload.TotalAmount = []byte{1}, p.amount
		},
		"on no chain": func(h *host, _ *part) { h.height = 0 },
		"of nothing":  func(_ *host, p *part) { p.amount, p.payload.Amount = 0, 0 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			h.receive(h.pay("channel/1", 2, 5_000, keysend, func(p *part) { edit(h, p) }))
			code := lnwire.FailCode(lnwire.CodeIncorrectOrUnknownPaymentDetails)
			if h.height == 0 {
				code = lnwire.CodeTemporaryNodeFailure
			}
			h.failed(code, "channel/1 2")
			require.Nil(t, h.snapshot)
		})
	}
}

// TestWhatIsKeptIsBounded: who knows the invoice can make it fail any number of HTLCs, and hold many.
func TestWhatIsKeptIsBounded(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.add(nil)
	for n := range uint64(maxFailed + 10) {
		h.receive(h.pay("channel/1", n, 2*theAmount, func(p *part) { p.payload.Payment.Total = 1 }))
	}
	require.Len(t, h.state.stored.GetHtlcs(), maxFailed)
	require.Equal(t, uint64(maxFailed+9), h.state.stored.GetHtlcs()[maxFailed-1].GetId())
	h.sent = nil
	for n := range uint64(maxParts + 1) {
		h.receive(h.pay("channel/2", n, 1))
	}
	require.Len(t, h.takeSent(), 1, "the last is one too many")
	require.Len(t, h.state.stored.GetHtlcs(), maxFailed+maxParts)
}

func TestAnswersOfNobody(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.add(nil)
	h.receive(h.pay("channel/1", 0, theAmount))
	h.claimed("channel/1 0")
	require.NoError(t, h.step(durable.Message{From: "monitor/1", Body: &durablepb.Absent{Address: "monitor/1"}}))
	h.nothingSent()
	require.Panics(t, func() { _ = h.ask("what?") })
}

// A claim must leave the channel time to settle, or it is closed for it.
func TestMargins(t *testing.T) {
	t.Parallel()
	p := DefaultPolicy()
	require.Greater(t, p.ClaimMargin, channel.DefaultPolicy().FulfillDeadline)
	require.Greater(t, p.MinFinalCLTVDelta, p.ClaimMargin)
	require.GreaterOrEqual(t, p.MPPTimeout, time.Minute, "BOLT 4, Basic Multi-Part Payments")
}
