package peerbook

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"stormcell/actors/durable"
	pb "stormcell/messages/peerbook"
	"stormcell/peer/address"
	"stormcell/peer/conn"
)

// fixed is an Env whose clock stands where a test puts it.
type fixed struct{ now time.Time }

func (fixed) Self() durable.Address         { return Address }
func (fixed) Session() uint64               { return 1 }
func (f fixed) Now() time.Time              { return f.now }
func (fixed) Random(p []byte)               { clear(p) }
func (fixed) Parallel(n int, f func(i int)) { panic("the peer book has no heavy work") }

// node is a node key that sorts by its number; self is 5.
func node(n byte) NodeKey { return NodeKey{2, n} }

var self = node(5)

func at(t *testing.T, text string) address.Address {
	t.Helper()
	a, err := address.Parse(text, 9735)
	require.NoError(t, err)
	return a
}

// script drives a core as the kernel does, and checks what each step releases.
type script struct {
	t     *testing.T
	core  Core
	state *Book
	env   fixed
	log   []proto.Message // what is stored
}

func newScript(t *testing.T) *script {
	t.Helper()
	s := &script{t: t, core: Core{Self: self}, env: fixed{time.Unix(1_800_000_000, 0)}}
	s.reload()
	s.says(Open{}, durable.Reply{}, Attend{})
	return s
}

// reload forgets what is not stored, as a restart does.
func (s *script) reload() durable.Outcome {
	s.t.Helper()
	state, err := s.core.Recover(Address, nil)
	require.NoError(s.t, err)
	s.state = state
	for _, event := range s.log {
		s.core.Apply(s.state, event)
	}
	return s.act(s.core.Resume(s.state, s.env))
}

func (s *script) act(out durable.Outcome) durable.Outcome {
	s.log = append(s.log, out.Events...)
	for _, event := range append(out.Events, out.Stage...) {
		s.core.Apply(s.state, event)
	}
	return out
}

func (s *script) step(body any) durable.Outcome {
	before := proto.CloneOf(s.core.Snapshot(s.state).(*pb.Book))
	out := s.core.Decide(s.state, durable.Message{Body: body}, s.env)
	require.True(s.t, proto.Equal(before, s.core.Snapshot(s.state)), "Decide changed the state")
	return s.act(out)
}

func (s *script) says(body any, released ...durable.Effect) {
	s.t.Helper()
	out := s.step(body)
	require.NoError(s.t, out.Refuse)
	require.Equal(s.t, released, out.Release)
}

func (s *script) refuses(body any, want error) {
	s.t.Helper()
	out := s.step(body)
	require.ErrorIs(s.t, out.Refuse, want)
	require.Empty(s.t, out.Events)
}

func (s *script) numberOf(key NodeKey) int {
	if c := s.state.of(key).connection; c != nil {
		return int(c.Number)
	}
	return 0
}

func TestKeepDialsUntilForgotten(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	there := at(t, "1.2.3.4:1")
	dial := Dial{Key: node(7), Address: "1.2.3.4:1"}

	s.says(Keep{node(7), there}, durable.Reply{}, dial)
	s.says(Keep{node(7), there}, durable.Reply{}) // it is dialled already
	s.redials(Failed{Dial: dial, Err: errors.New("no")}, time.Second)
	s.says(redial{node(7)}, dial)
	s.redials(Failed{Dial: dial, Err: errors.New("no")}, 2*time.Second)
	s.says(redial{node(7)}, dial)
	s.says(Up{Key: node(7), Number: 1, Dial: dial}, Use{1})
	s.says(redial{node(7)}) // it is connected: a late timer changes nothing
	require.Equal(t, 1, s.numberOf(node(7)))

	s.env.now = s.env.now.Add(time.Hour) // a stable connection
	s.redials(Down{Key: node(7), Number: 1}, time.Second, Lost{})

	s.says(Disconnect{node(7)}, durable.Reply{})
	s.says(redial{node(7)})
	s.refuses(Disconnect{node(7)}, ErrNotConnected)
	require.Empty(t, s.state.peers)
}

// redials expects that a message lets node 7 be dialled again, after half of the longest wait to all of it, and releases the
// rest before.
func (s *script) redials(body any, longest time.Duration, rest ...durable.Effect) {
	s.t.Helper()
	out := s.step(body)
	require.Len(s.t, out.Release, len(rest)+1)
	require.ElementsMatch(s.t, rest, out.Release[:len(rest)])
	timer := out.Release[len(rest)].(durable.SetTimer)
	require.Equal(s.t, durable.SetTimer{Key: node(7).String(), After: timer.After, Body: redial{node(7)}}, timer)
	require.GreaterOrEqual(s.t, timer.After, longest/2)
	require.LessOrEqual(s.t, timer.After, longest)
}

func TestIncompatiblePeersWaitLongest(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	dial := Dial{Key: node(7), Address: "1.2.3.4:1"}
	s.says(Keep{node(7), at(t, "1.2.3.4:1")}, durable.Reply{}, dial)
	s.redials(Failed{Dial: dial, Incompatible: true}, 10*time.Minute)
	// Somebody who asks need not wait.
	s.says(Keep{node(7), at(t, "1.2.3.4:2")}, durable.Reply{}, Dial{Key: node(7), Address: "1.2.3.4:2"})
}

func TestConnectIsForOnce(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	want := Connect{Key: node(7), Address: at(t, "1.2.3.4:1"), Timeout: time.Second}
	dial := Dial{Key: node(7), Address: "1.2.3.4:1", Timeout: time.Second}

	s.refuses(Connect{Key: self}, ErrSelf)
	s.refuses(Keep{Key: self}, ErrSelf)
	s.says(want, dial)
	s.refuses(want, ErrConnecting)
	s.says(Failed{Dial: dial, Err: errors.New("no")})
	s.says(want, dial)
	s.says(Up{Key: node(7), Number: 2, Dial: dial, Inbound: true}, Use{2})
	s.refuses(want, ErrConnected)
	s.says(Disconnect{node(7)}, durable.Reply{}, Hangup{2, errUnwanted})
	s.says(Down{Key: node(7), Number: 2}, Lost{})
	require.Len(t, s.log, 1, "nothing but the opening is stored")
}

func TestForgottenWhileDialled(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	dial := Dial{Key: node(7), Address: "1.2.3.4:1"}
	s.says(Keep{node(7), at(t, "1.2.3.4:1")}, durable.Reply{}, dial)
	s.says(Disconnect{node(7)}, durable.Reply{})
	s.says(Up{Key: node(7), Number: 3, Dial: dial}, Hangup{3, errUnwanted})
	s.says(Down{Key: node(7), Number: 3})
	require.Empty(t, s.state.peers)
}

func TestOneConnectionPerNode(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		peer            NodeKey
		oldIn, newIn    bool
		apart           time.Duration
		stays, goesDown int
	}{
		"both dialled, ours has the smaller key, ours first":   {node(7), false, true, 0, 1, 2},
		"both dialled, ours has the smaller key, theirs first": {node(7), true, false, 0, 2, 1},
		"both dialled, ours has the larger key, ours first":    {node(3), false, true, 0, 2, 1},
		"both dialled, ours has the larger key, theirs first":  {node(3), true, false, 0, 1, 2},
		"the peer dialled twice":                               {node(7), true, true, 0, 2, 1},
		"the peer comes back before its end was noticed":       {node(7), false, true, time.Minute, 2, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScript(t)
			s.step(Keep{c.peer, at(t, "1.2.3.4:1")})
			s.step(Up{Key: c.peer, Number: 1, Inbound: c.oldIn})
			s.env.now = s.env.now.Add(c.apart)
			out := s.step(Up{Key: c.peer, Number: 2, Inbound: c.newIn})
			want := []durable.Effect{Hangup{conn.Session(c.goesDown), errReplaced}}
			if c.stays == 2 {
				want = append(want, Use{2})
			}
			require.Equal(t, want, out.Release)
			require.Equal(t, c.stays, s.numberOf(c.peer))
			require.Empty(t, s.step(Down{Key: c.peer, Number: conn.Session(c.goesDown)}).Release)
			require.Equal(t, c.stays, s.numberOf(c.peer))
		})
	}
}

func TestRestartDialsWhatIsKept(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	for _, n := range []byte{9, 7, 8} {
		s.step(Keep{node(n), at(t, "1.2.3.4:1")})
	}
	s.step(Keep{node(9), at(t, "node.example:2")})
	s.step(Up{Key: node(9), Number: 1, Inbound: true})
	s.step(Up{Key: node(1), Number: 2, Inbound: true})
	s.step(Disconnect{node(8)})

	out := s.reload()
	require.Equal(t, []durable.Effect{
		Attend{}, Dial{Key: node(7), Address: "1.2.3.4:1"}, Dial{Key: node(9), Address: "node.example:2"},
	}, out.Release)

	fromSnapshot, err := s.core.Recover(Address, s.core.Snapshot(s.state))
	require.NoError(t, err)
	require.True(t, proto.Equal(s.core.Snapshot(s.state), s.core.Snapshot(fromSnapshot)))
	require.True(t, fromSnapshot.opened)
}

func TestListSharesNothing(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	s.step(Keep{node(7), at(t, "1.2.3.4:1")})
	s.step(Up{Key: node(6), Number: 1, Address: "9.9.9.9:9", Inbound: true})
	list := func() []Peer { return s.step(List{}).Release[0].(durable.Reply).Body.([]Peer) }
	got := list()
	require.Len(t, got, 2)
	require.Equal(t, "9.9.9.9:9", got[0].Connection.Address)
	require.Equal(t, Peer{Key: node(7), KeptAt: "1.2.3.4:1"}, got[1])
	got[0].Connection.Address = "changed"
	require.Equal(t, "9.9.9.9:9", list()[0].Connection.Address)
}

func TestTheBookHasAnEnd(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	for n := range MaxKept {
		key := NodeKey{3, byte(n), byte(n >> 8)}
		s.act(durable.Outcome{Events: []proto.Message{&pb.Kept{NodeKey: key[:], Address: "1.2.3.4:1"}}})
	}
	s.refuses(Keep{node(7), at(t, "1.2.3.4:1")}, ErrFull)
	out := s.step(Keep{NodeKey{3, 1}, at(t, "1.2.3.4:2")}) // a new address is no new node
	require.Len(t, out.Events, 1)
}
