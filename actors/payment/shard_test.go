package payment

import (
	"bytes"
	"crypto/sha256"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"stormcell/actors/durable"
	channelpb "stormcell/messages/channel"
	durablepb "stormcell/messages/durable"
	pb "stormcell/messages/payment"
	"stormcell/peer/onion"
)

func ecdhOf(key *btcec.PrivateKey) onion.ECDH {
	return func(point *btcec.PublicKey) ([32]byte, error) {
		var p, product btcec.JacobianPoint
		point.AsJacobian(&p)
		btcec.ScalarMultNonConst(&key.Key, &p, &product)
		product.ToAffine()
		return sha256.Sum256(btcec.NewPublicKey(&product.X, &product.Y).SerializeCompressed()), nil
	}
}

// launch is an attempt over nodes 1 and 2.
func launch() *pb.Launch {
	session := bytes.Repeat([]byte{9}, 32)
	return &pb.Launch{
		Hash: hash[:], TotalMsat: 5_000,
		Payee: &pb.Payee{Node: nodeOf(2), Secret: bytes.Repeat([]byte{5}, 32), Metadata: []byte("metadata"),
			Records: []*pb.Record{{Type: 70_000, Value: []byte("hello")}}},
		Attempt: &pb.Attempt{N: 4, Id: 99, SessionKey: session, Route: &pb.Route{
			Channel: "channel/1", AmountMsat: 1_010, Expiry: 180,
			Hops: []*pb.Hop{
				{Node: nodeOf(1), Scid: 11, AmountMsat: 1_000, Expiry: 140},
				{Node: nodeOf(2), Scid: 12, AmountMsat: 1_000, Expiry: 140},
			},
		}},
	}
}

// step takes one step of a shard, and gives its state as a restart would find it.
func step(t *testing.T, s *Shard, body any) (*Shard, durable.Outcome) {
	t.Helper()
	e := &env{self: shardOf(AddressOf(hash), 4), now: began}
	out := ShardCore{}.Decide(s, durable.Message{Body: body}, e)
	for _, event := range out.Events {
		ShardCore{}.Apply(s, event)
	}
	if s.stored == nil {
		return s, out
	}
	again, err := ShardCore{}.Recover(e.self, proto.CloneOf(s.stored))
	require.NoError(t, err)
	return again, out
}

func launchedShard(t *testing.T) *Shard {
	t.Helper()
	s, _ := step(t, &Shard{}, launch())
	return s
}

// sole is the one message that a step sends, of a type and to somebody.
func sole[M proto.Message](t *testing.T, out durable.Outcome, to durable.Address) M {
	t.Helper()
	require.Len(t, out.Send, 1)
	require.Equal(t, to, out.Send[0].To)
	require.IsType(t, *new(M), out.Send[0].Body)
	return out.Send[0].Body.(M)
}

func TestShardOffersTheHTLC(t *testing.T) {
	s, out := step(t, &Shard{}, launch())
	add := sole[*channelpb.AddHTLC](t, out, "channel/1")
	require.Equal(t, uint64(4), add.GetTag())
	require.Equal(t, uint64(1_010), add.GetAmountMsat())
	require.Equal(t, uint32(180), add.GetExpiry())
	require.Equal(t, hash[:], add.GetPaymentHash())

	first, err := onion.Peel(ecdhOf(keyOf(1)), add.GetOnion(), hash)
	require.NoError(t, err)
	require.False(t, first.Final)
	require.Equal(t, lnwire.NewShortChanIDFromInt(12), first.Payload.Channel)
	last, err := onion.Peel(ecdhOf(keyOf(2)), first.Next[:], hash)
	require.NoError(t, err)
	require.True(t, last.Final)
	require.Equal(t, lnwire.MilliSatoshi(1_000), last.Payload.Amount)
	require.Equal(t, lnwire.MilliSatoshi(5_000), last.Payload.Total())
	require.Equal(t, []byte("metadata"), last.Payload.Metadata)
	require.Equal(t, []onion.Record{{Type: 70_000, Value: []byte("hello")}}, last.Payload.Custom)

	_, again := step(t, &Shard{}, launch())
	require.True(t, proto.Equal(add, again.Send[0].Body), "the same launch gives the same onion")
	_, out = step(t, s, launch())
	require.Empty(t, out.Send, "one launch, one HTLC")
}

func TestShardWithoutOnionFails(t *testing.T) {
	want := launch()
	want.Attempt.Route.Hops[1].Node = []byte("nobody")
	_, out := step(t, &Shard{}, want)
	end := sole[*pb.ShardEnded](t, out, AddressOf(hash))
	require.Equal(t, channelpb.RefusalCode_BAD_REQUEST, end.GetFailure().GetRefused().GetCode())
	require.True(t, out.Done)
}

func TestShardEnds(t *testing.T) {
	malformed := &channelpb.Malformed{OnionHash: make([]byte, 32), Code: 0xc005}
	for name, test := range map[string]struct {
		body proto.Message
		want *pb.ShardEnded
		code channelpb.RefusalCode
	}{
		"settled": {&channelpb.HTLCSettled{Tag: 4, Preimage: preimage[:], Id: 17},
			&pb.ShardEnded{Preimage: preimage[:], Htlc: 17}, 0},
		"refused": {body: &channelpb.HTLCRefused{Tag: 4, Code: channelpb.RefusalCode_TOO_MUCH_DUST},
			code: channelpb.RefusalCode_TOO_MUCH_DUST},
		"no such channel": {body: &durablepb.Absent{Address: "channel/1"}, code: channelpb.RefusalCode_NOT_OPEN},
		"malformed": {&channelpb.HTLCFailed{Tag: 4, Failure: &channelpb.HTLCFailed_Malformed{Malformed: malformed}},
			&pb.ShardEnded{Failure: &pb.Failure{Hop: 1, Cause: &pb.Failure_Malformed{Malformed: malformed}}}, 0},
		"unreadable": {&channelpb.HTLCFailed{Tag: 4, Failure: &channelpb.HTLCFailed_Reason{Reason: make([]byte, 292)}},
			&pb.ShardEnded{Failure: &pb.Failure{Unreadable: true, Cause: &pb.Failure_Reason{Reason: make([]byte, 292)}}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s, out := step(t, launchedShard(t), test.body)
			end := sole[*pb.ShardEnded](t, out, AddressOf(hash))
			if test.want == nil {
				require.Equal(t, test.code, end.GetFailure().GetRefused().GetCode())
			} else {
				test.want.N, test.want.AtNs = 4, began.UnixNano()
				require.True(t, proto.Equal(test.want, end), "%v", end)
			}
			require.True(t, out.Done)
			require.Nil(t, s.stored.GetAttempt(), "the whole story is the payment's")

			_, out = step(t, s, &channelpb.HTLCRefused{Tag: 4})
			require.Empty(t, out.Send, "it ended before")
			_, out = step(t, s, &channelpb.HTLCSettled{Tag: 4, Preimage: preimage[:]})
			require.Equal(t, preimage[:], sole[*pb.ShardEnded](t, out, AddressOf(hash)).GetPreimage(), "a settle always counts")
		})
	}
}

func TestShardKnowsWhoFailedIt(t *testing.T) {
	s, out := step(t, &Shard{}, launch())
	packet := sole[*channelpb.AddHTLC](t, out, "channel/1").GetOnion()
	first, err := onion.Peel(ecdhOf(keyOf(1)), packet, hash)
	require.NoError(t, err)
	last, err := onion.Peel(ecdhOf(keyOf(2)), first.Next[:], hash)
	require.NoError(t, err)
	reason, err := onion.Fail(last.Secret, &lnwire.FailMPPTimeout{})
	require.NoError(t, err)
	reason, err = onion.Wrap(first.Secret, reason)
	require.NoError(t, err)

	_, out = step(t, s, &channelpb.HTLCFailed{Tag: 4, Failure: &channelpb.HTLCFailed_Reason{Reason: reason}})
	f := sole[*pb.ShardEnded](t, out, AddressOf(hash)).GetFailure()
	require.Equal(t, uint32(2), f.GetHop())
	require.Equal(t, reason, f.GetReason(), "as it came over the wire")
	code, readable := CodeOf(f)
	require.True(t, readable)
	require.Equal(t, lnwire.CodeMPPTimeout, code)
}

func TestShardSaysWhetherItLives(t *testing.T) {
	s := launchedShard(t)
	_, out := step(t, s, IsLive{})
	require.Equal(t, []durable.Effect{durable.Reply{Body: true}}, out.Release)
	s, _ = step(t, s, &channelpb.HTLCRefused{Tag: 4})
	_, out = step(t, s, IsLive{})
	require.Equal(t, []durable.Effect{durable.Reply{Body: false}}, out.Release)
}
