package conn_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/stretchr/testify/require"

	"stormcell/peer/conn"
	"stormcell/peer/wire"
)

func TestTwoNodesTalk(t *testing.T) {
	t.Parallel()
	left, right, _ := overTCP(t)
	a := run(t, left, conn.Config{Session: 7, Inbound: true})
	b := run(t, right, conn.Config{Session: 9, Features: wire.DefaultFeatures().With(wire.Quiescence)})
	for _, c := range []running{a, b} {
		<-c.up
		require.True(t, c.peer.Features.Anchors)
		require.False(t, c.peer.Features.Quiescence)
	}
	require.True(t, a.peer.Key.IsEqual(left.RemoteKey()))
	require.False(t, b.peer.SeesUsAt.IsValid(), "a loopback address is not told")

	const count = 3000
	for i := range uint64(count) {
		require.NoError(t, a.Send(&wire.UpdateAddHTLC{ID: i, OnionBlob: [1366]byte{byte(i)}}))
		require.NoError(t, b.Send(&wire.UpdateFulfillHTLC{ID: i}))
	}
	for i := range uint64(count) {
		require.Equal(t, i, (<-b.messages).(*wire.UpdateAddHTLC).ID)
		require.Equal(t, i, (<-a.messages).(*wire.UpdateFulfillHTLC).ID)
		require.Equal(t, conn.Session(9), <-b.sessions)
		require.Equal(t, conn.Session(7), <-a.sessions)
	}

	reason := errors.New("enough")
	require.NoError(t, a.Send(&wire.Error{Data: []byte("last words")}))
	a.Close(reason)
	require.Equal(t, conn.Closed, a.reason().Kind)
	require.ErrorIs(t, a.reason(), reason)
	require.Equal(t, conn.PeerClosed, b.reason().Kind)
	require.Equal(t, "last words", string((<-b.messages).(*wire.Error).Data), "what was queued has left")

	require.ErrorIs(t, a.Send(&wire.Ping{}), reason)
	var d *conn.Disconnect
	require.ErrorAs(t, b.Send(&wire.Ping{}), &d)
	require.Equal(t, conn.PeerClosed, d.Kind)
}

func TestInitComesFirst(t *testing.T) {
	t.Parallel()
	ours, theirs, _ := overTCP(t)
	c := run(t, ours, conn.Config{})
	require.ErrorIs(t, c.Send(&wire.Stfu{}), conn.ErrNotUp)
	first := hear(t, theirs).(*wire.Init)
	require.Equal(t, wire.DefaultFeatures(), first.Features)
	require.Equal(t, []chainhash.Hash{chain}, first.Networks)
	say(t, theirs, theirInit(), &wire.Stfu{Initiator: true})
	require.Same(t, c.Conn, <-c.up)
	require.NoError(t, c.Send(&wire.Stfu{}))
	require.Equal(t, &wire.Stfu{}, hear(t, theirs))
	require.Equal(t, &wire.Stfu{Initiator: true}, <-c.messages)
}

// What a peer may do wrong, how the connection ends for it, and whether the peer is told.
func TestHostilePeer(t *testing.T) {
	t.Parallel()
	raw := func(kind wire.MessageType, body ...byte) wire.Message { return &wire.Unknown{Type: kind, Body: body} }
	with := func(f wire.Features) *wire.Init { return &wire.Init{Features: f} }
	pings := make([]wire.Message, 12)
	for i := range pings {
		pings[i] = &wire.Ping{NumPongBytes: 1}
	}
	for name, c := range map[string]struct {
		says []wire.Message
		kind conn.Kind
	}{
		"no init":               {[]wire.Message{&wire.Ping{}}, conn.InitMissing},
		"refuses":               {[]wire.Message{&wire.Error{Data: []byte("go away\n")}}, conn.InitMissing},
		"warns":                 {[]wire.Message{&wire.Warning{Data: []byte("go away\n")}}, conn.InitMissing},
		"odd before init":       {[]wire.Message{raw(0x8001)}, conn.InitMissing},
		"even before init":      {[]wire.Message{raw(0x8000)}, conn.UnknownRequired},
		"gossip before init":    {[]wire.Message{raw(wire.TypeChannelUpdate, make([]byte, 128)...)}, conn.InitMissing},
		"malformed init":        {[]wire.Message{raw(wire.TypeInit, 0, 9)}, conn.Malformed},
		"bad extension in init": {[]wire.Message{raw(wire.TypeInit, 0, 0, 0, 0, 2, 0)}, conn.Malformed},
		"no type":               {nil, conn.Malformed},
		"feature unknown":       {[]wire.Message{with(wire.DefaultFeatures().Require(1000))}, conn.FeatureMismatch},
		"feature dependency":    {[]wire.Message{with(wire.Features{}.With(wire.ZeroConf))}, conn.FeatureMismatch},
		"other chain":           {[]wire.Message{&wire.Init{Networks: []chainhash.Hash{{1}}}}, conn.ChainMismatch},
		"init twice":            {[]wire.Message{theirInit(), theirInit()}, conn.InitRepeated},
		"even after init":       {[]wire.Message{theirInit(), raw(0x8000)}, conn.UnknownRequired},
		"short message":         {[]wire.Message{theirInit(), raw(wire.TypeStfu, 1, 2)}, conn.Malformed},
		"even TLV": {
			[]wire.Message{theirInit(), raw(wire.TypeUpdateFee, append(make([]byte, 36), 2, 0)...)}, conn.Malformed,
		},
		"short gossip": {[]wire.Message{theirInit(), raw(wire.TypeChannelUpdate, 1)}, conn.Malformed},
		"ping flood":   {append([]wire.Message{theirInit()}, pings...), conn.PingFlood},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ours, theirs, _ := overTCP(t)
			limits := conn.DefaultLimits()
			limits.Pings = conn.Rate{PerSecond: 1e-6, Burst: 10}
			r := run(t, ours, conn.Config{Limits: limits})
			if c.says == nil {
				require.NoError(t, theirs.WriteMessage([]byte{1}))
			}
			say(t, theirs, c.says...)
			require.Contains(t, hearWarning(t, theirs), string(c.kind))
			_, err := theirs.ReadMessage()
			require.Error(t, err, "and nothing after it")
			require.Equal(t, c.kind, r.reason().Kind)
			require.NotEmpty(t, r.reason().Error())
			require.NotContains(t, r.reason().Error(), "\n")
			require.Empty(t, r.messages)
		})
	}
}

func TestTypedReasons(t *testing.T) {
	t.Parallel()
	ours, theirs, _ := overTCP(t)
	r := run(t, ours, conn.Config{})
	say(t, theirs, &wire.Init{Features: wire.Features{}.Require(wire.DualFund)})
	var features *wire.FeatureError
	require.ErrorAs(t, r.reason(), &features)
	require.Equal(t, []wire.Feature{wire.DualFund}, features.Features)
	require.True(t, r.reason().Kind.Incompatible())

	ours, theirs, _ = overTCP(t)
	r = run(t, ours, conn.Config{})
	say(t, theirs, theirInit(), &wire.Unknown{Type: wire.TypeRevokeAndAck, Body: []byte{1}})
	var malformed *wire.MalformedError
	require.ErrorAs(t, r.reason(), &malformed)
	require.ErrorIs(t, r.reason(), wire.ErrTooShort)
	require.Equal(t, wire.TypeRevokeAndAck, malformed.Type)
	require.False(t, r.reason().Kind.Incompatible())
}

func TestGarbageAfterTheHandshake(t *testing.T) {
	t.Parallel()
	ours, theirs, socket := overTCP(t)
	r := run(t, ours, conn.Config{})
	say(t, theirs, theirInit())
	<-r.up
	_, err := socket.Write(bytes.Repeat([]byte{0x55}, 1000))
	require.NoError(t, err)
	require.Equal(t, conn.Corrupt, r.reason().Kind)
}

func TestHangUpWithinAMessage(t *testing.T) {
	t.Parallel()
	ours, theirs, socket := overTCP(t)
	r := run(t, ours, conn.Config{})
	say(t, theirs, theirInit())
	<-r.up
	_, err := socket.Write([]byte{1, 2, 3})
	require.NoError(t, err)
	require.NoError(t, socket.Close())
	require.Equal(t, conn.NetworkFailed, r.reason().Kind)
}

func TestWhatIsIgnored(t *testing.T) {
	t.Parallel()
	ours, theirs, _ := overTCP(t)
	r := run(t, ours, conn.Config{})
	hear(t, theirs)
	say(t, theirs, theirInit(),
		&wire.Unknown{Type: 0x8001, Body: make([]byte, 1000)},
		&wire.Ping{NumPongBytes: 65532}, &wire.Ping{NumPongBytes: 65535}, &wire.Pong{PongBytes: make([]byte, 5)},
		&wire.Ping{NumPongBytes: 65531}, &wire.Ping{NumPongBytes: 3, PaddingBytes: make([]byte, 100)},
		&wire.Warning{Data: []byte("mind\x07 the gap")},
	)
	require.Len(t, hear(t, theirs).(*wire.Pong).PongBytes, 65531)
	require.Len(t, hear(t, theirs).(*wire.Pong).PongBytes, 3)
	require.IsType(t, &wire.Warning{}, <-r.messages, "warnings are the handler's to weigh")
	require.Empty(t, r.messages)
}

// Gossip in the wrong order once made nodes hang up on each other for good.
func TestMalformedGossipCostsAWarning(t *testing.T) {
	t.Parallel()
	ours, theirs, _ := overTCP(t)
	r := run(t, ours, conn.Config{})
	unsorted := append(make([]byte, 41), 0, 17, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0)
	compressed := append(make([]byte, 32), 0, 3, 1, 0x78, 0x9c)
	say(t, theirs, theirInit(),
		&wire.Unknown{Type: wire.TypeReplyChannelRange, Body: unsorted},
		&wire.Unknown{Type: wire.TypeQueryShortChannelIDs, Body: compressed},
		&wire.Stfu{},
	)
	require.Contains(t, hearWarning(t, theirs), "reply_channel_range")
	require.Contains(t, hearWarning(t, theirs), "query_short_channel_ids")
	require.Equal(t, &wire.Stfu{}, <-r.messages, "the connection goes on")
}

func TestHandlerEndsTheConnection(t *testing.T) {
	t.Parallel()
	ours, theirs, _ := overTCP(t)
	failure := errors.New("no such channel")
	r := run(t, ours, conn.Config{}, func(r *recorder) { r.err = failure })
	say(t, theirs, theirInit(), &wire.Stfu{}, &wire.Stfu{})
	require.Equal(t, conn.HandlerFailed, r.reason().Kind)
	require.ErrorIs(t, r.reason(), failure)
	require.Len(t, r.messages, 1, "the second is not delivered any more")
}

func TestContextEndsTheConnection(t *testing.T) {
	t.Parallel()
	ours, theirs, _ := overTCP(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	c := conn.New(ours, newRecorder(), conn.Config{Chain: chain})
	result := make(chan error, 1)
	go func() { result <- c.Run(ctx) }()
	hear(t, theirs)
	shutdown := errors.New("node is stopping")
	cancel(shutdown)
	err := <-result
	require.ErrorIs(t, err, shutdown)
	<-c.Done()
}

func TestClosedBeforeItRuns(t *testing.T) {
	t.Parallel()
	ours, theirs, _ := overTCP(t)
	c := conn.New(ours, newRecorder(), conn.Config{Chain: chain})
	c.Close(errors.New("changed my mind"))
	var d *conn.Disconnect
	require.ErrorAs(t, c.Run(t.Context()), &d)
	require.Equal(t, conn.Closed, d.Kind)
	_, err := theirs.ReadMessage()
	require.Error(t, err)
}

func TestUnencodableMessageLeavesTheConnection(t *testing.T) {
	t.Parallel()
	ours, theirs, _ := overTCP(t)
	r := run(t, ours, conn.Config{})
	say(t, theirs, theirInit())
	<-r.up
	require.ErrorIs(t, r.Send(&wire.PeerStorage{Blob: make([]byte, 70_000)}), wire.ErrTooLong)
	require.NoError(t, r.Send(&wire.Stfu{}))
	hear(t, theirs)
	require.Equal(t, &wire.Stfu{}, hear(t, theirs))
}
