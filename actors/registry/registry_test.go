package registry_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"stormcell/actors/durable"
	"stormcell/actors/registry"
	channelpb "stormcell/messages/channel"
	pb "stormcell/messages/registry"
	"stormcell/persistence"
)

// teller is a channel as far as the registry knows channels: it sends what it is told to.
type teller struct{}

func (teller) Recover(durable.Address, proto.Message) (*struct{}, error) { return &struct{}{}, nil }
func (teller) Apply(*struct{}, proto.Message)                            {}
func (teller) Snapshot(*struct{}) proto.Message                          { return &pb.Forgone{} }
func (teller) Resume(*struct{}, durable.Env) durable.Outcome             { return durable.Outcome{} }
func (teller) Decide(_ *struct{}, m durable.Message, _ durable.Env) durable.Outcome {
	return durable.Outcome{
		Send:    []durable.Envelope{{To: registry.Address, Body: m.Body.(proto.Message)}},
		Release: []durable.Effect{durable.Reply{To: m.Asker}},
	}
}

// nowhere is a world in which nothing happens.
type nowhere struct{}

func (nowhere) Release(durable.Address, uint64, durable.Effect) {}
func (nowhere) Ended(durable.Address, uint64)                   {}

// node is a registry on a journal.
type node struct {
	t       *testing.T
	journal *persistence.Memory
	kernel  *durable.Kernel
	registry.Client
}

func start(t *testing.T, journal *persistence.Memory) *node {
	t.Helper()
	return startDoubting(t, journal, 0)
}

func startDoubting(t *testing.T, journal *persistence.Memory, doubt uint64) *node {
	t.Helper()
	k := durable.New(durable.Options{Journal: journal, World: nowhere{}, Log: slog.New(slog.DiscardHandler)})
	core := registry.Core{Limits: registry.Limits{PerPeer: 2, All: 3, Waste: 5, Forgiveness: time.Hour}, Doubt: doubt}
	require.NoError(t, durable.Register(k, registry.Kind(), core))
	require.NoError(t, durable.Register(k, durable.Kind{Name: "teller"}, teller{}))
	require.NoError(t, k.Start())
	return &node{t: t, journal: journal, kernel: k, Client: registry.Client{Kernel: k}}
}

func (n *node) stop() {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	require.NoError(n.t, n.kernel.Stop(ctx))
}

func (n *node) restart() *node {
	n.t.Helper()
	n.stop()
	return start(n.t, n.journal.Crash(n.journal.Durable()))
}

func (n *node) tell(c *pb.Channel) {
	n.t.Helper()
	_, err := n.kernel.Ask(n.t.Context(), "teller/a", c)
	require.NoError(n.t, err)
}

func (n *node) reserve(peer, temporary byte, opener bool) (uint32, error) {
	return n.Reserve(n.t.Context(), registry.Reserve{Peer: [33]byte{2, peer}, TemporaryID: [32]byte{temporary}, Opener: opener})
}

func (n *node) given(peer, temporary byte, opener bool) uint32 {
	n.t.Helper()
	index, err := n.reserve(peer, temporary, opener)
	require.NoError(n.t, err)
	return index
}

func (n *node) roster() []*pb.Channel {
	n.t.Helper()
	channels, err := n.Roster(n.t.Context())
	require.NoError(n.t, err)
	return channels
}

func channelOf(index uint32, peer, temporary byte, standing pb.Standing) *pb.Channel {
	key, id := [33]byte{2, peer}, [32]byte{temporary}
	return &pb.Channel{KeyIndex: index, Peer: key[:], TemporaryId: id[:], Standing: standing}
}

func TestIndexesAreGivenOutOnce(t *testing.T) {
	t.Parallel()
	n := start(t, persistence.NewMemory())
	require.EqualValues(t, 0, n.given(1, 1, false))
	require.NoError(t, n.Forgo(0))
	require.EqualValues(t, 1, n.given(1, 1, true), "what was forgone is not used again")
	n = n.restart()
	defer n.stop()
	require.EqualValues(t, 2, n.given(1, 1, true))
}

// TestAnOldCopyGivesOutOtherIndexes: what a copy does not know, the original may have given out since; so may another copy.
func TestAnOldCopyGivesOutOtherIndexes(t *testing.T) {
	t.Parallel()
	original := start(t, persistence.NewMemory())
	require.EqualValues(t, 0, original.given(1, 2, true))
	original.stop()
	copied := func() *persistence.Memory { return original.journal.Crash(original.journal.Durable()) }

	first, second := startDoubting(t, copied(), 1), startDoubting(t, copied(), 1)
	defer second.stop()
	index := first.given(1, 3, true)
	require.Greater(t, index, uint32(50_000))
	require.NotEqual(t, index, second.given(1, 4, true))
	require.Equal(t, index+1, first.given(1, 5, true), "one leap for one doubt")
	first.stop()
	first = startDoubting(t, first.journal, 1)
	require.Equal(t, index+2, first.given(1, 6, true), "also after a restart")
	first.stop()
	first = startDoubting(t, first.journal, 0)
	require.Equal(t, index+3, first.given(1, 7, true), "and once the doubt is over")
	first.stop()
	first = startDoubting(t, first.journal, 2)
	defer first.stop()
	require.Greater(t, first.given(1, 8, true), index+50_000)
}

func TestPendingChannelsAreBounded(t *testing.T) {
	t.Parallel()
	n := start(t, persistence.NewMemory())
	first := n.given(1, 1, false)
	_, err := n.reserve(1, 1, false)
	require.ErrorIs(t, err, registry.ErrTaken)
	_, err = n.reserve(1, 1, true)
	require.ErrorIs(t, err, registry.ErrTaken)
	n.given(1, 2, false)
	_, err = n.reserve(1, 3, false)
	require.ErrorIs(t, err, registry.ErrTooMany)
	n.given(1, 3, true) // our own are not bounded
	third := n.given(2, 1, false)
	_, err = n.reserve(3, 1, false)
	require.ErrorIs(t, err, registry.ErrFull)

	require.NoError(t, n.Forgo(third))
	n.tell(channelOf(first, 1, 1, pb.Standing_OPEN)) // neither counts any more
	n.given(3, 1, false)
	n.given(1, 1, false)

	n = n.restart()
	defer n.stop()
	require.Len(t, n.roster(), 1, "reservations end with the process")
	n.tell(channelOf(first, 1, 1, pb.Standing_PENDING))
	n.given(1, 2, false)
	_, err = n.reserve(1, 3, false)
	require.ErrorIs(t, err, registry.ErrTooMany)
}

func TestPeersCannotWasteWithoutEnd(t *testing.T) {
	t.Parallel()
	n := start(t, persistence.NewMemory())
	defer n.stop()
	for i := range uint32(5) {
		require.Equal(t, i, n.given(1, 1, false))
		n.tell(channelOf(i, 1, 1, pb.Standing_OPENING))
		n.tell(channelOf(i, 1, 1, pb.Standing_GONE))
		n.tell(channelOf(i, 1, 1, pb.Standing_GONE))
	}
	_, err := n.reserve(2, 1, false)
	require.ErrorIs(t, err, registry.ErrFull)
	n.given(2, 1, true) // our own are not bounded
}

func TestWasteIsForgiven(t *testing.T) {
	t.Parallel()
	core := registry.Core{Limits: registry.Limits{PerPeer: 1, All: 9, Waste: 3, Forgiveness: time.Minute}}
	state, err := core.Recover(registry.Address, nil)
	require.NoError(t, err)
	now := time.Unix(1_800_000_000, 0)
	step := func(body any) error {
		out := core.Decide(state, durable.Message{Body: body}, at{now: now})
		for _, event := range append(out.Events, out.Stage...) {
			core.Apply(state, event)
		}
		return out.Refuse
	}
	waste := func(index uint32) error {
		if err := step(registry.Reserve{TemporaryID: [32]byte{1}}); err != nil {
			return err
		}
		require.NoError(t, step(channelOf(index, 0, 1, pb.Standing_OPENING)))
		return step(channelOf(index, 0, 1, pb.Standing_GONE))
	}
	for i := range uint32(3) {
		require.NoError(t, waste(i))
		now = now.Add(time.Second)
	}
	require.ErrorIs(t, waste(3), registry.ErrFull)
	now = now.Add(time.Minute)
	require.NoError(t, waste(3))
	require.ErrorIs(t, waste(4), registry.ErrFull)
	now = now.Add(time.Hour)
	for i := range uint32(3) {
		require.NoError(t, waste(4+i))
	}
	require.ErrorIs(t, waste(7), registry.ErrFull)
}

// at is an Env that has a time and nothing else.
type at struct {
	durable.Env
	now time.Time
}

func (a at) Now() time.Time { return a.now }

func TestChannelsComeAndGo(t *testing.T) {
	t.Parallel()
	n := start(t, persistence.NewMemory())
	const many = registry.MaxPage + 2
	for i := range uint32(many) {
		require.Equal(t, i, n.given(1, 1, true))
		c := channelOf(i, 1, 1, pb.Standing_PENDING)
		c.Outpoint = &channelpb.Outpoint{Index: i}
		n.tell(c)
		c.Standing, c.Ending = pb.Standing_GONE, &pb.Ending{Height: i}
		n.tell(c)
		n.tell(c) // whoever tells it again is not counted again
	}
	unfunded := n.given(1, 1, true)
	n.tell(channelOf(unfunded, 1, 1, pb.Standing_OPENING))
	n.tell(channelOf(unfunded, 1, 1, pb.Standing_GONE))
	kept := n.given(1, 1, true)
	n.tell(channelOf(kept, 1, 1, pb.Standing_OPENING))
	for range 2 {
		roster := n.roster()
		require.Len(t, roster, 1)
		require.Equal(t, kept, roster[0].GetKeyIndex())
		found, err := n.Find(t.Context(), kept)
		require.NoError(t, err)
		require.True(t, proto.Equal(roster[0], found))
		found, err = n.Find(t.Context(), unfunded)
		require.NoError(t, err)
		require.Nil(t, found)
		gone, err := n.Gone(t.Context())
		require.NoError(t, err)
		require.Len(t, gone, many)
		for i, c := range gone {
			require.EqualValues(t, i, c.GetEnding().GetHeight())
		}
		n = n.restart()
	}
	n.stop()
}

// TestNoneIsGone: a registry that was told nothing yet says so, though there is nobody to wait for a page from the disk.
func TestNoneIsGone(t *testing.T) {
	t.Parallel()
	n := start(t, persistence.NewMemory())
	gone, err := n.Gone(t.Context())
	require.NoError(t, err)
	require.Empty(t, gone)
	n.stop()
}
