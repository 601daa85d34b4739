package ctl

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/stretchr/testify/require"

	invoices "stormcell/actors/invoice"
	"stormcell/chain/backend"
	"stormcell/cmd/node/fault"
	pb "stormcell/messages/invoice"
	"stormcell/peer/bolt11"
	"stormcell/peer/wire"
)

// fakeInvoices has invoices, and notes what is asked for.
type fakeInvoices struct {
	all               []invoices.Info
	added             []invoices.Request
	hashes            []*[32]byte
	query             invoices.Query
	settled, canceled [][32]byte
	err               error
}

func (f *fakeInvoices) Add(_ context.Context, want invoices.Request, hash *[32]byte) (invoices.Info, error) {
	f.added, f.hashes = append(f.added, want), append(f.hashes, hash)
	made := &pb.Invoice{PaymentRequest: "lnbcrt1", PaymentHash: make([]byte, 32), PaymentSecret: []byte{1}}
	return invoices.Info{Invoice: made, AddIndex: 12}, f.err
}

func (f *fakeInvoices) Lookup(_ context.Context, hash [32]byte) (invoices.Info, error) {
	for _, i := range f.all {
		if [32]byte(i.PaymentHash) == hash {
			return i, nil
		}
	}
	return invoices.Info{}, invoices.ErrNotFound
}

func (f *fakeInvoices) List(_ context.Context, q invoices.Query) ([]invoices.Info, error) {
	f.query = q
	var out []invoices.Info
	for _, i := range f.all {
		if q.Reverse || i.AddIndex > q.After {
			out = append(out, i)
		}
	}
	if q.Reverse {
		slices.Reverse(out)
	}
	return out[:min(len(out), q.Limit)], nil
}

func (f *fakeInvoices) Settle(_ context.Context, preimage [32]byte) error {
	f.settled = append(f.settled, preimage)
	return f.err
}

func (f *fakeInvoices) Cancel(_ context.Context, hash [32]byte) error {
	f.canceled = append(f.canceled, hash)
	return f.err
}

func (f *fakeInvoices) Subscribe(context.Context, [32]byte, func(invoices.Info) error) error {
	return nil
}

func (f *fakeInvoices) SubscribeAll(context.Context, invoices.Since, func(invoices.Event) error) error {
	return nil
}

// made is when the invoices of these tests were made.
var made = time.Date(2026, 3, 1, 12, 30, 0, 0, time.Local)

// request is a payment request of a node of these tests.
func request(t *testing.T, amount wire.MilliSatoshi, description string) string {
	t.Helper()
	text, err := bolt11.Encode(&bolt11.Invoice{
		Network: backend.Regtest.Params(), Amount: amount, Timestamp: made, PaymentHash: [32]byte{1}, PaymentSecret: [32]byte{2},
		Description: description, Expiry: 100 * 365 * 24 * time.Hour, FinalCLTVDelta: 80, Features: invoices.Features(),
		Hints: [][]bolt11.HopHint{{{NodeID: key(3).PubKey(), ChannelID: widest(0).Scid.ToUint64()}}},
	}, func(signed []byte) ([]byte, error) {
		return ecdsa.SignCompact(key(2), chainhash.HashB(signed), true), nil
	})
	require.NoError(t, err)
	return text
}

func invoice(number uint64, status pb.Status, amount, paid uint64, memo string) invoices.Info {
	return invoices.Info{AddIndex: number, Invoice: &pb.Invoice{
		PaymentHash: []byte(strings.Repeat(string(rune(number)), 32)), Status: status, AmountMsat: amount, PaidMsat: paid,
		Description: memo, CreatedNs: made.UnixNano(), ExpiryS: 3600, Preimage: make([]byte, 32),
	}}
}

func TestInvoice(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	zeros := strings.Repeat("0", 64)
	require.Equal(t, "lnbcrt1\nnumber  12\nhash    "+zeros+"\n", f.ok(t, "invoice", "0.5mbtc", "--memo=coffee", "--expiry=24h"))
	f.ok(t, "invoice", "any")
	require.Equal(t, []invoices.Request{
		{Description: "coffee", Amount: 50_000_000, Expiry: 24 * time.Hour}, {Expiry: time.Hour},
	}, f.invoices.added)

	// A hold invoice is for the hash that is said, or for a new preimage's, which is shown.
	hash := [32]byte{7}
	f.ok(t, "invoice", "5sat", "--hold", "--hash="+hex.EncodeToString(hash[:]))
	require.Equal(t, &hash, f.invoices.hashes[2])
	var held struct {
		Preimage string `json:"r_preimage"`
		Hash     string `json:"r_hash"`
		Secret   string `json:"payment_addr"`
	}
	require.NoError(t, json.Unmarshal([]byte(f.ok(t, "invoice", "5sat", "--hold", "--json")), &held))
	preimage, err := hex.DecodeString(held.Preimage)
	require.NoError(t, err)
	opens := sha256.Sum256(preimage)
	require.Equal(t, hex.EncodeToString(opens[:]), held.Hash)
	require.Equal(t, &opens, f.invoices.hashes[3])
	require.Equal(t, "01", held.Secret)
	require.Contains(t, f.ok(t, "invoice", "5sat", "--hold"), "\npreimage  ")

	require.Equal(t, "settled\n", f.ok(t, "settle", held.Preimage))
	require.Equal(t, [][32]byte{[32]byte(preimage)}, f.invoices.settled)
	require.Equal(t, "canceled\n", f.ok(t, "cancel", held.Hash))
	require.Equal(t, [][32]byte{opens}, f.invoices.canceled)

	f.fails(t, fault.Usage, "say the unit", "invoice", "1000")
	f.fails(t, fault.Usage, "Say 'any'", "invoice", "0sat")
	f.fails(t, fault.Usage, "--expiry", "invoice", "any", "--expiry=1ms")
	f.fails(t, fault.Usage, "Say --hold too", "invoice", "any", "--hash="+zeros)
	f.fails(t, fault.Usage, "64 hexadecimal digits", "invoice", "any", "--hold", "--hash=12")
	f.fails(t, fault.Usage, "64 hexadecimal digits", "settle", "12")
	f.fails(t, fault.Usage, "64 hexadecimal digits", "cancel", strings.Repeat("z", 64))
	f.fails(t, fault.Failed, "memo too large", "invoice", "any", "--memo="+strings.Repeat("m", 640))
	f.invoices.err = invoices.ErrNotHeld
	f.fails(t, fault.Failed, "still open", "settle", zeros)
	f.invoices.err = invoices.ErrSettled
	f.fails(t, fault.Failed, "already settled", "cancel", zeros)
}

func TestInvoices(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	require.Contains(t, f.ok(t, "invoices"), "no invoices")
	const most = 21e14 * 1000
	f.invoices.all = []invoices.Info{
		invoice(1, pb.Status_SETTLED, most, most, "a cup of \x1b[31mcöffee and more"),
		invoice(2, pb.Status_HELD, 0, 5_000, "ünd"), invoice(3, pb.Status_CANCELED, 1, 0, ""), invoice(4, pb.Status_OPEN, 1_500, 0, ""),
	}
	require.Equal(t, `NUMBER  STATE                    AMOUNT                   PAID  MADE              MEMO
     1  paid      2,100,000,000,000,000  2,100,000,000,000,000  2026-03-01 12:30  a cup of  [31...
     2  held                        any                      5  2026-03-01 12:30  ünd
     3  canceled                      0                      0  2026-03-01 12:30
     4  expired                       1                      0  2026-03-01 12:30
`, mustRun(t, f, "invoices", "--last=7"))
	require.Equal(t, 7, f.invoices.query.Limit)

	paid := f.invoices.all[0]
	paid.PaymentRequest, paid.Status, paid.ClosedNs = request(t, 0, ""), pb.Status_SETTLED, made.UnixNano()
	paid.Htlcs = []*pb.HTLC{{AmountMsat: 1500, AcceptedHeight: 700, State: pb.HTLCState_CLAIMED}, {AmountMsat: 1000}}
	want := "number    1\nstate     paid\namount    2,100,000,000,000,000 sat\npaid      2,100,000,000,000,000 sat\n" +
		"memo      a cup of  [31mcöffee and more\nmade      2026-03-01 12:30\nexpires   2026-03-01 13:30\nsettled   2026-03-01 12:30\n" +
		"hash      " + strings.Repeat("01", 32) + "\npreimage  " + strings.Repeat("00", 32) + "\n" +
		"part of 1.500 sat, which came at height 700, was taken\npart of 1 sat, which came at height 0, waits\n" + paid.PaymentRequest + "\n"
	require.Equal(t, want, mustRun(t, f, "invoices", "1"))
	require.Equal(t, want, mustRun(t, f, "invoices", strings.Repeat("01", 32)))
	require.Contains(t, f.ok(t, "invoices", "1", "--json"), `"r_hash": "`+strings.Repeat("01", 32)+`"`)
	f.fails(t, fault.Failed, "there is no invoice 9", "invoices", "9")
	f.fails(t, fault.Failed, "unable to locate invoice", "invoices", strings.Repeat("07", 32))
	f.fails(t, fault.Usage, "neither a number nor", "invoices", "here")
	f.fails(t, fault.Usage, "neither a number nor", "invoices", "0")
}

func TestDecode(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	require.Equal(t, `amount      0.001 sat
for         tea, and a very long story about tea that goes on and on
to          `+someKey()+`
made        2026-03-01 12:30
expires     2126-02-05 12:30
hash        01`+strings.Repeat("00", 31)+`
at the end  80 blocks
hints       over 16777215x12345x65535 of 02f9308a01
`, f.ok(t, "decode", "lightning:"+request(t, 1, "tea, and a very long story about tea that goes on and on")))
	require.Contains(t, f.ok(t, "decode", request(t, 0, "")), "amount      any\n")
	require.Contains(t, f.ok(t, "decode", request(t, 0, ""), "--json"), `"payment_addr": "02`+strings.Repeat("00", 31))
	f.fails(t, fault.Failed, "", "decode", "lnbcrt1nonsense")
}

// mustRun is ok for what is wider than a terminal: payment requests, and amounts that nobody has.
func mustRun(t *testing.T, f *fake, args ...string) string {
	t.Helper()
	out, err := f.run(t, args...)
	require.NoError(t, err)
	return out
}
