package payment

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"stormcell/actors/durable"
	channelpb "stormcell/messages/channel"
	pb "stormcell/messages/payment"
	"stormcell/messages/record"
)

// preimage and hash of the payment under test.
var (
	preimage = sha256.Sum256([]byte("preimage"))
	hash     = sha256.Sum256(preimage[:])
	began    = time.Unix(1_800_000_000, 0)
)

// keyOf is the private key of a node.
func keyOf(n byte) *btcec.PrivateKey {
	secret := sha256.Sum256([]byte{n})
	key, _ := btcec.PrivKeyFromBytes(secret[:])
	return key
}

func nodeOf(n byte) []byte { return keyOf(n).PubKey().SerializeCompressed() }

// env is an Env whose clock stands where a test puts it.
type env struct {
	self  durable.Address
	now   time.Time
	drawn uint64
}

func (e *env) Self() durable.Address { return e.self }
func (*env) Session() uint64         { return 1 }
func (e *env) Now() time.Time        { return e.now }
func (*env) Parallel(int, func(int)) { panic("a payment has no heavy work") }
func (e *env) Random(p []byte) {
	e.drawn++
	clear(p)
	binary.BigEndian.PutUint64(p, e.drawn)
}

// T is what tests and properties have in common.
type T interface {
	require.TestingT
	Helper()
}

var _ T = (*testing.T)(nil)

// script drives a payment as the kernel does.
type script struct {
	t       T
	env     env
	state   *State
	stored  []byte             // the snapshot; nil while there is none
	columns map[string][]byte  // by key
	sent    []durable.Envelope // by the last step
	asked   uint64             // the round of the question that is not answered
	gather  bool               // it is about shards
	asks    int                // questions so far
	ended   int                // tries that came to their end
	timers  map[string]any     // that are set, by key
	reply   any                // of the last step
	refused error              // by the last step
}

func newScript(t T) *script {
	s := &script{t: t, env: env{self: AddressOf(hash), now: began}, columns: map[string][]byte{}, timers: map[string]any{}}
	s.recover()
	return s
}

// restart forgets what is not stored.
func (s *script) restart() {
	s.t.Helper()
	s.asked, s.sent, s.reply, s.refused = 0, nil, nil, nil
	clear(s.timers)
	s.recover()
	if s.stored == nil {
		return
	}
	out := Core{}.Resume(s.state, &s.env)
	require.Empty(s.t, out.Events)
	require.Empty(s.t, out.Send)
	s.take(out)
}

func (s *script) recover() {
	var snapshot proto.Message
	if s.stored != nil {
		p := &pb.Payment{}
		require.NoError(s.t, proto.Unmarshal(s.stored, p))
		snapshot = p
	}
	state, err := Core{}.Recover(s.env.self, snapshot)
	require.NoError(s.t, err)
	s.state = state
}

// does takes one step.
func (s *script) does(body any) {
	s.t.Helper()
	before := s.encoded()
	s.sent, s.reply, s.refused = nil, nil, nil
	out := Core{}.Decide(s.state, durable.Message{Body: body}, &s.env)
	require.Equal(s.t, before, s.encoded(), "deciding on %T changed the state", body)
	s.take(out)
}

func (s *script) encoded() []byte {
	r, err := record.Encode(Core{}.Snapshot(s.state))
	require.NoError(s.t, err)
	return r.Body
}

func (s *script) take(out durable.Outcome) {
	s.t.Helper()
	for _, event := range out.Events {
		Core{}.Apply(s.state, event)
	}
	if len(out.Events) > 0 {
		s.stored = s.encoded()
		require.Equal(s.t, StatusOf(s.p()) != pb.Status_IN_FLIGHT || s.p().GetDeleted(), out.Done)
	}
	for _, event := range out.Stage {
		Core{}.Apply(s.state, event)
	}
	keys := map[string]bool{}
	for _, c := range out.Put {
		require.False(s.t, keys[c.Key], "%s is put twice", c.Key)
		keys[c.Key] = true
		delete(s.columns, c.Key)
		if c.Value != nil {
			r, err := record.Encode(c.Value)
			require.NoError(s.t, err)
			s.columns[c.Key] = r.Body
		}
	}
	s.sent, s.refused = append(s.sent, out.Send...), out.Refuse
	for _, e := range out.Release {
		if lazy, ok := e.(durable.Lazy); ok {
			e = lazy.Effect
		}
		switch e := e.(type) {
		case durable.Reply:
			s.reply = e.Body
		case durable.SetTimer:
			s.timers[e.Key] = e.Body
		case FindRoutes:
			s.asked, s.gather = e.Round, false
			s.asks++
		case Gather:
			s.asked, s.gather = e.Round, true
			s.asks++
		case Changed:
			if e.Ended {
				s.ended++
			}
		}
	}
	for _, next := range out.Next {
		s.does(next)
	}
}

func (s *script) p() *pb.Payment { return s.state.stored }

// launched are the launches that the last step sent.
func (s *script) launched() []*pb.Launch {
	var launched []*pb.Launch
	for _, e := range s.sent {
		if l, ok := e.Body.(*pb.Launch); ok {
			require.Equal(s.t, shardOf(s.env.self, l.GetAttempt().GetN()), e.To)
			launched = append(launched, l)
		}
	}
	return launched
}

// recorded counts the monitors that the last step told of a preimage.
func (s *script) recorded() (n int) {
	for _, e := range s.sent {
		if _, ok := e.Body.(*channelpb.Recorded); ok {
			n++
		}
	}
	return n
}

func request(amount uint64) *pb.Request {
	return &pb.Request{
		Payee: &pb.Payee{Node: nodeOf(1), Secret: make([]byte, 32)}, AmountMsat: amount, MaxParts: 4, MaxDelta: 500,
		FinalDelta: 40, TimeoutNs: int64(DefaultTimeout),
	}
}

func pay(amount uint64) Pay { return Pay{Hash: hash, Request: request(amount), Number: 7} }

// over gives routes to a direct peer, over channel/1 and so on, that bring these amounts.
func over(amounts ...uint64) []*pb.Route {
	var routes []*pb.Route
	for i, amount := range amounts {
		routes = append(routes, &pb.Route{
			Channel: fmt.Sprintf("channel/%d", i+1), AmountMsat: amount, Expiry: 143,
			Hops: []*pb.Hop{{Node: nodeOf(1), Scid: uint64(i + 1), AmountMsat: amount, Expiry: 143}},
		})
	}
	return routes
}

func settledShard(n uint32) *pb.ShardEnded {
	return &pb.ShardEnded{N: n, AtNs: began.UnixNano() + 1, Preimage: preimage[:], Htlc: 3}
}

func failedShard(n uint32, why *pb.Failure) *pb.ShardEnded {
	return &pb.ShardEnded{N: n, AtNs: began.UnixNano() + 1, Failure: why}
}

// says is a failure with a code, from a hop.
func says(hop uint32, code uint16) *pb.Failure {
	return &pb.Failure{Hop: hop, Message: binary.BigEndian.AppendUint16(nil, code),
		Cause: &pb.Failure_Reason{Reason: []byte("encrypted")}}
}
