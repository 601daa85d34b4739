package payment

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"stormcell/actors/durable"
	"stormcell/actors/router"
	channelpb "stormcell/messages/channel"
	pb "stormcell/messages/payment"
	"stormcell/persistence"
)

// channels is the core of a channel that takes every HTLC, and keeps it until it is told what becomes of it.
type channels struct{}

type held struct {
	from durable.Address
	*channelpb.AddHTLC
}

// answer is what becomes of an HTLC.
type answer struct {
	to   durable.Address
	body proto.Message
}

func (channels) Recover(durable.Address, proto.Message) (*struct{}, error) { return &struct{}{}, nil }
func (channels) Apply(*struct{}, proto.Message)                            {}
func (channels) Resume(*struct{}, durable.Env) durable.Outcome             { return durable.Outcome{} }
func (channels) Snapshot(*struct{}) proto.Message                          { return &pb.Shard{} }
func (c channels) Decide(_ *struct{}, m durable.Message, _ durable.Env) durable.Outcome {
	switch body := m.Body.(type) {
	case *channelpb.AddHTLC:
		return durable.Outcome{Release: []durable.Effect{held{m.From, body}}}
	case answer:
		return durable.Outcome{Send: []durable.Envelope{{To: body.to, Body: body.body}}}
	default: // the monitor hears that a preimage is recorded
		return durable.Outcome{}
	}
}

// house is a kernel with payments and channels.
type house struct {
	t      *testing.T
	kernel *durable.Kernel
	shell  *Shell
	held   chan held
}

func (h *house) Release(from durable.Address, session uint64, e durable.Effect) {
	if add, ok := e.(held); ok {
		h.held <- add
		return
	}
	h.shell.Release(from, session, e)
}

func (h *house) Ended(durable.Address, uint64) {}

func newHouse(t *testing.T, journal persistence.Journal) *house {
	t.Helper()
	h := &house{t: t, held: make(chan held, 100)}
	log := slog.New(slog.DiscardHandler)
	h.kernel = durable.New(durable.Options{Journal: journal, World: h, Log: log})
	h.shell = NewShell(Config{Kernel: h.kernel, Height: func() uint32 { return 100 }, Log: log,
		Channels: func(_ context.Context, peer [33]byte) (open []router.Channel, err error) {
			for n := range 2 {
				open = append(open, router.Channel{
					Address: durable.Address(fmt.Sprintf("channel/%d", n)), Peer: peer, Scid: 5, Minimum: 1, Sendable: 1_000, HTLCs: 1,
				})
			}
			return open, nil
		},
	})
	require.NoError(t, errors.Join(
		durable.Register(h.kernel, Kind(), Core{}), durable.Register(h.kernel, ShardKind(), ShardCore{}),
		durable.Register(h.kernel, durable.Kind{Name: "channel"}, channels{}),
		durable.Register(h.kernel, durable.Kind{Name: "monitor"}, channels{}),
		h.kernel.Start(), h.shell.Start(t.Context()),
	))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		h.shell.Close()
		require.NoError(t, h.kernel.Stop(ctx))
	})
	return h
}

// hashOf is the n-th payment's, and the preimage that opens it.
func hashOf(n int) (hash, preimage [32]byte) {
	preimage = sha256.Sum256(fmt.Append(nil, n))
	return sha256.Sum256(preimage[:]), preimage
}

// ends answers the next HTLC that is held.
func (h *house) ends(how func(held) proto.Message) {
	h.t.Helper()
	select {
	case add := <-h.held:
		require.NoError(h.t, h.kernel.Tell("channel/0", 0, answer{add.from, how(add)}))
	case <-h.t.Context().Done():
		h.t.Fatal("no HTLC came")
	}
}

func settles(preimage [32]byte) func(held) proto.Message {
	return func(add held) proto.Message {
		return &channelpb.HTLCSettled{Tag: add.GetTag(), Preimage: preimage[:]}
	}
}

func refuses(add held) proto.Message {
	return &channelpb.HTLCRefused{Tag: add.GetTag(), Code: channelpb.RefusalCode_PEER_OFFLINE}
}

// track follows a payment to its end.
func (h *house) track(hash [32]byte) (seen []*pb.Payment) {
	h.t.Helper()
	require.NoError(h.t, h.shell.Client().Track(h.t.Context(), hash, func(p *pb.Payment) error {
		seen = append(seen, p)
		return nil
	}))
	return seen
}

func TestPayAndTrack(t *testing.T) {
	t.Parallel()
	h := newHouse(t, persistence.NewMemory())
	client := h.shell.Client()
	hash, preimage := hashOf(0)
	p, err := client.Pay(t.Context(), hash, request(1_500))
	require.NoError(t, err)
	require.Equal(t, uint64(1), p.GetNumber())
	require.Len(t, InFlightHTLCs(p), 2, "no channel carries all of it")
	_, err = client.Pay(t.Context(), hash, request(1_500))
	require.ErrorIs(t, err, ErrInFlight)

	changes := make(chan []*pb.Payment, 1)
	go func() { changes <- h.track(hash) }()
	h.ends(settles(preimage))
	h.ends(settles(preimage))
	seen := <-changes
	last := seen[len(seen)-1]
	require.Equal(t, pb.Status_SUCCEEDED, StatusOf(last))
	require.Equal(t, preimage[:], last.GetPreimage())
	for i, p := range seen[1:] {
		require.Greater(t, p.GetRevision(), seen[i].GetRevision())
	}
	require.Len(t, h.track(hash), 1, "who asks later sees the end")
	_, err = client.Pay(t.Context(), hash, request(1_500))
	require.ErrorIs(t, err, ErrPaid)
	require.ErrorIs(t, client.Abort(t.Context(), hash), ErrEnded)
}

func TestRefusedChannelIsReplaced(t *testing.T) {
	t.Parallel()
	h := newHouse(t, persistence.NewMemory())
	hash, preimage := hashOf(0)
	_, err := h.shell.Client().Pay(t.Context(), hash, request(800))
	require.NoError(t, err)
	h.ends(refuses)
	h.ends(settles(preimage))
	seen := h.track(hash)
	attempts := seen[len(seen)-1].GetAttempts()
	require.Len(t, attempts, 2)
	require.NotEqual(t, attempts[0].GetRoute().GetChannel(), attempts[1].GetRoute().GetChannel())
	require.Equal(t, channelpb.RefusalCode_PEER_OFFLINE, attempts[0].GetFailure().GetRefused().GetCode())
}

func TestNoWayToPay(t *testing.T) {
	t.Parallel()
	h := newHouse(t, persistence.NewMemory())
	client := h.shell.Client()
	hash, _ := hashOf(0)
	p, err := client.Pay(t.Context(), hash, request(2_001))
	require.NoError(t, err)
	require.Equal(t, pb.FailureReason_INSUFFICIENT_BALANCE, p.GetFailure())
	_, err = client.Pay(t.Context(), hash, request(800))
	require.NoError(t, err)
	h.ends(refuses)
	h.ends(refuses)
	seen := h.track(hash)
	require.Equal(t, pb.FailureReason_NO_ROUTE, seen[len(seen)-1].GetFailure(), "balance there was")
	_, err = client.Lookup(t.Context(), [32]byte{1})
	require.ErrorIs(t, err, ErrNotFound)
	h.shell.Height = func() uint32 { return 0 }
	_, err = client.Pay(t.Context(), [32]byte{1}, request(1))
	require.ErrorIs(t, err, ErrNoChain)
	_, err = client.Pay(t.Context(), [32]byte{1}, request(0))
	require.ErrorIs(t, err, ErrBadRequest)
}

func TestListAndDelete(t *testing.T) {
	t.Parallel()
	journal := persistence.NewMemory()
	h := newHouse(t, journal)
	client := h.shell.Client()
	for n := range 7 {
		hash, preimage := hashOf(n)
		_, err := client.Pay(t.Context(), hash, request(uint64(10+n)))
		require.NoError(t, err)
		if n%2 == 0 {
			h.ends(settles(preimage))
		} else {
			h.ends(refuses)
			h.ends(refuses)
		}
		h.track(hash)
	}
	numbers := func(c Client, sel Selection) (list []uint64) {
		page, err := c.List(t.Context(), sel)
		require.NoError(t, err)
		for _, p := range page {
			list = append(list, p.GetNumber())
		}
		return list
	}
	paid := func(l *pb.Listed) bool { return l.GetStatus() == pb.Status_SUCCEEDED }
	require.Equal(t, []uint64{1, 2, 3, 4, 5, 6, 7}, numbers(client, Selection{Limit: 100}))
	require.Equal(t, []uint64{4, 5}, numbers(client, Selection{After: 3, Limit: 2}))
	require.Equal(t, []uint64{3, 2, 1}, numbers(client, Selection{After: 4, Limit: 5, Reverse: true}))
	require.Equal(t, []uint64{1, 3, 5}, numbers(client, Selection{Limit: 3, Wanted: paid}))
	count, err := client.Count(t.Context(), paid)
	require.NoError(t, err)
	require.Equal(t, uint64(4), count)

	hash, _ := hashOf(1)
	require.NoError(t, client.Delete(t.Context(), hash, true))
	p, err := client.Lookup(t.Context(), hash)
	require.NoError(t, err)
	require.Empty(t, p.GetAttempts())
	hash, _ = hashOf(6)
	found, err := client.Find(t.Context(), hash)
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.NoError(t, client.Delete(t.Context(), hash, false))
	require.Equal(t, []uint64{6, 5}, numbers(client, Selection{Limit: 2, Reverse: true}))
	found, err = client.Find(t.Context(), hash)
	require.NoError(t, err)
	require.Empty(t, found)

	again := newHouse(t, journal.Crash(journal.Durable()))
	p, err = again.shell.Client().Pay(t.Context(), [32]byte{1}, request(1))
	require.NoError(t, err)
	require.Equal(t, uint64(8), p.GetNumber(), "a number is given out once, also when its payment was deleted")
}

// TestDeleteAll forgets what has ended, as far as is wanted, and nothing that is in flight.
func TestDeleteAll(t *testing.T) {
	t.Parallel()
	h := newHouse(t, persistence.NewMemory())
	c := h.shell.Client()
	const each = 120 // more than are deleted at once
	for n := range 2 * each {
		hash, preimage := hashOf(n)
		_, err := c.Pay(t.Context(), hash, request(500))
		require.NoError(t, err)
		if n%2 == 0 {
			h.ends(settles(preimage))
		} else {
			h.ends(refuses)
			h.ends(refuses)
		}
		h.track(hash)
	}
	inFlight, _ := hashOf(2 * each)
	_, err := c.Pay(t.Context(), inFlight, request(500))
	require.NoError(t, err)
	left := func() int {
		page, err := c.List(t.Context(), Selection{Limit: 3 * each})
		require.NoError(t, err)
		return len(page)
	}
	for _, step := range []struct {
		failedOnly, attemptsOnly bool
		deleted, left            int
	}{
		{true, true, each, 2*each + 1}, {true, false, each, each + 1}, {true, false, 0, each + 1}, {false, true, each, each + 1},
		{false, false, each, 1}, {false, false, 0, 1},
	} {
		n, err := c.DeleteAll(t.Context(), step.failedOnly, step.attemptsOnly)
		require.NoError(t, err)
		require.Equal(t, uint64(step.deleted), n, "%+v", step)
		require.Equal(t, step.left, left(), "%+v", step)
	}
	p, err := c.Lookup(t.Context(), inFlight)
	require.NoError(t, err)
	require.Equal(t, pb.Status_IN_FLIGHT, StatusOf(p))
}

func TestAbortWaitsForLiveShards(t *testing.T) {
	t.Parallel()
	h := newHouse(t, persistence.NewMemory())
	client := h.shell.Client()
	hash, preimage := hashOf(0)
	_, err := client.Pay(t.Context(), hash, request(500))
	require.NoError(t, err)
	require.NoError(t, client.Abort(t.Context(), hash))
	p, err := client.Lookup(t.Context(), hash)
	require.NoError(t, err)
	require.Equal(t, pb.Status_IN_FLIGHT, StatusOf(p))
	require.Equal(t, pb.FailureReason_CANCELED, p.GetFailure())
	h.ends(settles(preimage))
	seen := h.track(hash)
	require.Equal(t, pb.Status_SUCCEEDED, StatusOf(seen[len(seen)-1]), "settled beats failed")
}

func TestFollowersOfAll(t *testing.T) {
	t.Parallel()
	h := newHouse(t, persistence.NewMemory())
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	hashes := make(chan string, 100)
	go func() {
		ended <- h.shell.Client().TrackAll(ctx, func(p *pb.Payment) error {
			hashes <- string(p.GetHash())
			return nil
		})
	}()
	require.Eventually(t, func() bool {
		n := 0
		h.shell.followers.Range(func(any, any) bool { n++; return true })
		return n == 1
	}, 5*time.Second, time.Millisecond)
	hash, _ := hashOf(3)
	_, err := h.shell.Client().Pay(t.Context(), hash, request(5_000))
	require.NoError(t, err)
	require.Equal(t, string(hash[:]), <-hashes)
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
}
