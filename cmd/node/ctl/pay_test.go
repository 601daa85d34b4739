package ctl

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"stormcell/actors/payment"
	"stormcell/cmd/node/fault"
	channelpb "stormcell/messages/channel"
	pb "stormcell/messages/payment"
)

// fakePayments has payments, and notes what is asked for.
type fakePayments struct {
	all     []*pb.Payment
	story   []*pb.Payment // what the payment that is followed becomes
	stays   chan struct{} // closed when the story is told; nil for a story with an end
	paid    []*pb.Request
	hashes  [][32]byte
	aborted chan [32]byte
	limit   int
	err     error
}

func (f *fakePayments) Pay(_ context.Context, hash [32]byte, want *pb.Request) (*pb.Payment, error) {
	f.paid, f.hashes = append(f.paid, want), append(f.hashes, hash)
	return nil, f.err
}

func (f *fakePayments) Lookup(_ context.Context, hash [32]byte) (*pb.Payment, error) {
	for _, p := range f.all {
		if [32]byte(p.Hash) == hash {
			return p, nil
		}
	}
	return nil, payment.ErrNotFound
}

func (f *fakePayments) Track(ctx context.Context, _ [32]byte, tell func(*pb.Payment) error) error {
	for _, p := range f.story {
		if err := tell(p); err != nil {
			return err
		}
	}
	if f.stays == nil {
		return f.err
	}
	close(f.stays)
	<-ctx.Done()
	return ctx.Err()
}

func (f *fakePayments) TrackAll(context.Context, func(*pb.Payment) error) error { return nil }

func (f *fakePayments) Abort(_ context.Context, hash [32]byte) error {
	f.aborted <- hash
	return nil
}

func (f *fakePayments) Delete(context.Context, [32]byte, bool) error { return nil }

func (f *fakePayments) DeleteAll(context.Context, bool, bool) (uint64, error) { return 0, nil }

func (f *fakePayments) List(_ context.Context, sel payment.Selection) ([]*pb.Payment, error) {
	f.limit = sel.Limit
	var out []*pb.Payment
	for _, p := range f.all {
		if sel.Reverse || p.Number > sel.After {
			out = append(out, p)
		}
	}
	if sel.Reverse {
		slices.Reverse(out)
	}
	return out, nil
}

func (f *fakePayments) Count(context.Context, func(*pb.Listed) bool) (uint64, error) { return 0, nil }

// attempt is a part over the channel with the widest name, which is resolved after so many milliseconds if at all.
func attempt(id, amount uint64, settledMs, failedMs int64) *pb.Attempt {
	payee := nodeOf(2)
	const millisecond = int64(time.Millisecond)
	a := &pb.Attempt{Id: id, LaunchedNs: made.UnixNano(), Route: &pb.Route{AmountMsat: amount, Hops: []*pb.Hop{
		{Node: payee[:], Scid: widest(0).Scid.ToUint64(), AmountMsat: amount},
	}}}
	if settledMs != 0 {
		a.SettledNs = a.LaunchedNs + settledMs*millisecond
	}
	if failedMs != 0 {
		a.FailedNs = a.LaunchedNs + failedMs*millisecond
		a.Failure = &pb.Failure{Cause: &pb.Failure_Malformed{Malformed: &channelpb.Malformed{Code: 1<<14 | 15}}}
	}
	return a
}

func paymentOf(attempts ...*pb.Attempt) *pb.Payment {
	return &pb.Payment{
		Hash: bytes.Repeat([]byte{1}, 32), Number: 5, CreatedNs: made.UnixNano(), Request: &pb.Request{AmountMsat: 3_000_500},
		Attempts: attempts,
	}
}

// aStory is a payment whose first part fails, and is replaced.
func aStory() []*pb.Payment {
	paid := paymentOf(attempt(21, 1_000_000, 0, 12), attempt(22, 2_000_500, 90, 0), attempt(23, 1_000_000, 1500, 0))
	paid.Preimage = bytes.Repeat([]byte{2}, 32)
	return []*pb.Payment{
		paymentOf(attempt(21, 1_000_000, 0, 0)), paymentOf(attempt(21, 1_000_000, 0, 0), attempt(22, 2_000_500, 0, 0)),
		paymentOf(attempt(21, 1_000_000, 0, 12), attempt(22, 2_000_500, 0, 0)), paid,
	}
}

const told = `part 1       1,000 sat  over 16777215x12345x65535  on its way
part 2   2,000.500 sat  over 16777215x12345x65535  on its way
part 1       1,000 sat  over 16777215x12345x65535  failed after 12 ms
         incorrect or unknown payment details
part 2   2,000.500 sat  over 16777215x12345x65535  arrived after 90 ms
part 3       1,000 sat  over 16777215x12345x65535  arrived after 1.5 s
paid 3,000.500 sat in 2 parts, fee 0 sat, after 1.5 s
preimage 0202020202020202020202020202020202020202020202020202020202020202
`

func TestPayShowsItsParts(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.payments.story = aStory()
	invoice := request(t, 3_000_500, "tea\x1b[2J with milk and sugar and more")
	require.Equal(t, "paying 3,000.500 sat to 02c6047f94 for \"tea [2J with milk and ...\"\n"+told, f.ok(t, "pay", invoice))
	f.ok(t, "pay", "LIGHTNING:"+request(t, 0, ""), "--amount=0.01btc", "--max-fee=3sat", "--max-parts=4", "--max-part=1000sat", "--timeout=90s")
	require.Len(t, f.payments.paid, 2)
	first, second := f.payments.paid[0], f.payments.paid[1]
	require.Equal(t, [4]uint64{3_000_500, 30_005, 16, uint64(time.Minute)},
		[4]uint64{first.AmountMsat, first.MaxFeeMsat, uint64(first.MaxParts), uint64(first.TimeoutNs)})
	require.Equal(t, [5]uint64{1_000_000_000, 3000, 4, 1_000_000, uint64(90 * time.Second)},
		[5]uint64{second.AmountMsat, second.MaxFeeMsat, uint64(second.MaxParts), second.MaxPartMsat, uint64(second.TimeoutNs)})
	var ended struct {
		Preimage string `json:"payment_preimage"`
		Status   string `json:"status"`
	}
	require.NoError(t, json.Unmarshal([]byte(f.ok(t, "pay", invoice, "--json")), &ended))
	require.Equal(t, "SUCCEEDED", ended.Status)
	require.Equal(t, strings.Repeat("02", 32), ended.Preimage)

	node := someKey()
	require.Contains(t, f.ok(t, "pay", "--keysend", node, "--amount=12sat"), "paying 12 sat to 02c6047f94\n")
	keysend := f.payments.paid[3]
	require.Equal(t, node, hex.EncodeToString(keysend.Payee.Node))
	require.Equal(t, [2]uint64{12_000, 5_000}, [2]uint64{keysend.AmountMsat, keysend.MaxFeeMsat})
	require.Equal(t, sha256.Sum256(keysend.Payee.Keysend), f.payments.hashes[3])
}

func TestPayRefusals(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	fixed, open := request(t, 5_000, ""), request(t, 0, "")
	f.fails(t, fault.Usage, "leaves the amount to you", "pay", open)
	f.fails(t, fault.Usage, "the invoice is over 5 sat", "pay", fixed, "--amount=5sat")
	f.fails(t, fault.Usage, "say the unit", "pay", open, "--amount=5")
	f.fails(t, fault.Usage, "--max-fee", "pay", fixed, "--max-fee=1")
	f.fails(t, fault.Usage, "at least one part", "pay", fixed, "--max-parts=0")
	f.fails(t, fault.Usage, "--timeout", "pay", fixed, "--timeout=0s")
	f.fails(t, fault.Usage, "is not a node's key", "pay", "--keysend", fixed, "--amount=1sat")
	f.fails(t, fault.Usage, "how much?", "pay", "--keysend", someKey())
	f.fails(t, fault.Failed, "", "pay", "lnbcrt1nonsense")
	f.payments.err = payment.ErrPaid
	f.fails(t, fault.Failed, "already paid", "pay", fixed)
	f.payments.err = nil
	failed := paymentOf(attempt(21, 1_000_000, 0, 12))
	failed.Failure = pb.FailureReason_INCORRECT_PAYMENT_DETAILS
	f.payments.story = []*pb.Payment{failed}
	f.fails(t, fault.Failed, "the payment failed: the payee refuses it", "pay", fixed)
	out, err := f.run(t, "pay", fixed, "--json")
	require.Error(t, err)
	require.Contains(t, out, `"status": "FAILED"`)
}

// TestPayCanBeLeft: Ctrl-C stops watching, and says that the payment goes on, unless it was to be aborted.
func TestPayCanBeLeft(t *testing.T) {
	t.Parallel()
	for flag, says := range map[string]string{
		"--abort=false": "the payment goes on all the same", "--abort": "no new parts begin",
	} {
		f := newFake(t)
		f.payments.story, f.payments.stays = aStory()[:2], make(chan struct{})
		f.payments.aborted = make(chan [32]byte, 1)
		ctx, cancel := context.WithCancel(t.Context())
		var out lines
		out.when("part 2", cancel)
		err := f.runTo(ctx, &out, "pay", request(t, 3_000_500, ""), flag)
		var said bytes.Buffer
		require.Equal(t, fault.Failed, fault.Report(&said, err))
		require.Contains(t, strings.ReplaceAll(said.String(), "\n", " "), says)
		require.Contains(t, said.String(), "'stormcell track 5'")
		if flag == "--abort" {
			require.Equal(t, byte(1), (<-f.payments.aborted)[0])
		}
	}
}

// lines is an output that notices what is said.
type lines struct {
	bytes.Buffer
	wanted string
	do     func()
}

func (l *lines) when(wanted string, do func()) { l.wanted, l.do = wanted, do }

func (l *lines) Write(text []byte) (int, error) {
	if bytes.Contains(text, []byte(l.wanted)) {
		l.do()
	}
	return l.Buffer.Write(text)
}

func TestPayments(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	require.Contains(t, f.ok(t, "payments"), "no payments")
	paid := aStory()[3]
	failed := proto.CloneOf(paid)
	failed.Number, failed.Attempts, failed.Preimage, failed.Failure = 6, nil, nil, pb.FailureReason_INSUFFICIENT_BALANCE
	failed.Request.AmountMsat = 5e12
	f.payments.all = []*pb.Payment{paid, failed, aStory()[1]}
	f.payments.all[2].Number = 7
	require.Equal(t, `NUMBER  STATE              AMOUNT  FEE  PARTS  BEGUN             PAYEE
     5  paid                3,000    0      2  2026-03-01 12:30  02c6047f94
     6  failed      5,000,000,000    0      0  2026-03-01 12:30
     7  on its way          3,000    0      2  2026-03-01 12:30  02c6047f94
`, f.ok(t, "payments", "--last=3"))
	require.Equal(t, 3, f.payments.limit)
	require.Contains(t, f.ok(t, "payments", "--json"), `"payment_index": "6"`)

	f.payments.story = []*pb.Payment{paid}
	hash := strings.Repeat("01", 32)
	want := "number    5\nstate     paid\namount    3,000.500 sat\nfee       0 sat\nto        " + someKey() +
		"\nbegun     2026-03-01 12:30\nhash      " + hash + "\npreimage  " + strings.Repeat("02", 32) +
		`
part 1       1,000 sat  over 16777215x12345x65535  failed after 12 ms
         incorrect or unknown payment details
part 2   2,000.500 sat  over 16777215x12345x65535  arrived after 90 ms
part 3       1,000 sat  over 16777215x12345x65535  arrived after 1.5 s
`
	require.Equal(t, want, f.ok(t, "payments", "5"))
	require.Equal(t, want, f.ok(t, "payments", hash))
	f.payments.story = aStory()
	require.Equal(t, told, f.ok(t, "track", hash))
	f.payments.story = []*pb.Payment{failed}
	require.Contains(t, f.ok(t, "payments", "6"), "state   failed: the channels cannot carry that much\n")
	f.fails(t, fault.Failed, "the payment failed: the channels", "track", "6")
	f.fails(t, fault.Failed, "there is no payment 9", "payments", "9")
	f.fails(t, fault.Usage, "neither a number nor", "payments", "here")
	f.payments.err, f.payments.story = payment.ErrNotFound, nil
	f.fails(t, fault.Failed, "payment isn't initiated", "payments", hash)
}
