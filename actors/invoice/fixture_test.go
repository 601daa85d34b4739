package invoice

import (
	"bytes"
	"crypto/sha256"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	sphinx "github.com/lightningnetwork/lightning-onion"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"stormcell/actors/channel"
	"stormcell/actors/durable"
	channelpb "stormcell/messages/channel"
	pb "stormcell/messages/invoice"
	"stormcell/messages/record"
	"stormcell/peer/onion"
)

var (
	nodeKey, nodePub = btcec.PrivKeyFromBytes(bytes.Repeat([]byte{7}, 32))
	thePreimage      = [32]byte{1, 2, 3}
	theHash          = sha256.Sum256(thePreimage[:])
)

const (
	theHeight = 800_000
	theAmount = 100_000 // msat
	soon      = theHeight + 100
)

// host runs the core at one address as the kernel does: each step is a commit, and a restart keeps what was committed.
type host struct {
	t      *testing.T
	core   Core
	addr   durable.Address
	height uint32
	now    time.Time

	state    *State
	snapshot []byte // as stored, nil if nothing is
	columns  []durable.Column
	sent     []durable.Envelope
	released []durable.Effect
	timers   map[string]durable.SetTimer
	done     bool
	random   *rand.ChaCha8
}

func newHost(t *testing.T) *host {
	h := &host{
		t: t, addr: Address(theHash), height: theHeight, now: time.Unix(1_800_000_000, 500), random: rand.NewChaCha8([32]byte{}),
	}
	policy := DefaultPolicy()
	policy.Keysend = true
	h.core = Core{
		Network: &chaincfg.RegressionNetParams, ECDH: (&sphinx.PrivKeyECDH{PrivKey: nodeKey}).ECDH, SignInvoice: sign,
		Height: func() uint32 { return h.height }, Policy: policy,
	}
	h.restart()
	return h
}

func sign(signed []byte) ([]byte, error) {
	return ecdsa.SignCompact(nodeKey, chainhash.HashB(signed), true), nil
}

func (h *host) Self() durable.Address         { return h.addr }
func (h *host) Session() uint64               { return 1 }
func (h *host) Now() time.Time                { return h.now }
func (h *host) Random(p []byte)               { _, _ = h.random.Read(p) }
func (h *host) Parallel(n int, f func(i int)) { panic("invoices do nothing heavy") }

// stored is the state as a restart finds it.
func (h *host) stored() *State {
	var snapshot proto.Message
	if h.snapshot != nil {
		i := &pb.Invoice{}
		require.NoError(h.t, proto.Unmarshal(h.snapshot, i))
		snapshot = i
	}
	s, err := h.core.Recover(h.addr, snapshot)
	require.NoError(h.t, err)
	return s
}

// restart loses all that is volatile: timers, and what waits for a reply.
func (h *host) restart() {
	h.state, h.timers = h.stored(), map[string]durable.SetTimer{}
	if h.snapshot != nil {
		h.carryOut(h.core.Resume(h.state, h))
	}
}

// step decides on a message and commits. What it refused is returned.
func (h *host) step(m durable.Message) error {
	require.True(h.t, h.snapshot != nil || Kind().Creates(m.Body), "%T finds nobody", m.Body)
	before := proto.CloneOf(h.core.Snapshot(h.state).(*pb.Invoice))
	out := h.core.Decide(h.state, m, h)
	require.True(h.t, proto.Equal(before, h.core.Snapshot(h.state)), "Decide changed the state on %T", m.Body)
	require.False(h.t, out.Keep)
	for _, e := range out.Events {
		_, err := record.Encode(e)
		require.NoError(h.t, err)
		h.core.Apply(h.state, e)
		h.snapshot, err = proto.Marshal(h.core.Snapshot(h.state))
		require.NoError(h.t, err)
		h.done = out.Done
		require.True(h.t, proto.Equal(h.core.Snapshot(h.stored()), h.core.Snapshot(h.state)))
	}
	for i, column := range out.Put {
		for _, other := range out.Put[:i] {
			require.NotEqual(h.t, other.Key, column.Key, "two lines in one place")
		}
	}
	h.columns = append(h.columns, out.Put...)
	h.sent = append(h.sent, out.Send...)
	h.carryOut(out)
	if h.state.stored != nil {
		require.Equal(h.t, holds(h.state.stored), !h.done, "an invoice is awake as long as it holds HTLCs")
	}
	return out.Refuse
}

func (h *host) carryOut(out durable.Outcome) {
	for _, e := range out.Release {
		switch e := e.(type) {
		case durable.SetTimer:
			h.timers[e.Key] = e
		case durable.StopTimer:
			delete(h.timers, e.Key)
		default:
			h.released = append(h.released, e)
		}
	}
}

func (h *host) ask(body any) error { return h.step(durable.Message{Body: body}) }

// add makes the invoice of most tests; edit may change it.
func (h *host) add(edit func(*Request)) {
	h.t.Helper()
	want := Request{Preimage: &thePreimage, Amount: theAmount, Description: "tea"}
	if edit != nil {
		edit(&want)
	}
	require.NoError(h.t, h.ask(Add{want}))
}

// part is an HTLC on its way to us, and what its onion says.
type part struct {
	channel durable.Address
	id      uint64
	amount  lnwire.MilliSatoshi
	expiry  uint32
	exposed bool
	closing bool
	pathKey []byte
	final   bool
	payload onion.Payload
	damage  bool
}

// pay is a part with the whole amount; edits may change it.
func (h *host) pay(channel durable.Address, id uint64, amount lnwire.MilliSatoshi, edits ...func(*part)) part {
	p := part{channel: channel, id: id, amount: amount, expiry: soon, final: true}
	p.payload = onion.Payload{Amount: amount, Expiry: soon, Payment: &onion.PaymentData{Total: theAmount}}
	copy(p.payload.Payment.Secret[:], h.state.stored.GetPaymentSecret())
	for _, edit := range edits {
		edit(&p)
	}
	return p
}

// session is the payer's session key, the same for all parts.
var session, _ = btcec.PrivKeyFromBytes(bytes.Repeat([]byte{9}, 32))

func (h *host) message(p part) durable.Message {
	route := []onion.Hop{{Key: nodePub, Payload: p.payload}}
	if !p.final {
		route[0].Payload.Channel = lnwire.NewShortChanIDFromInt(1)
		route[0].Payload.Payment = nil
		route = append(route, onion.Hop{Key: nodePub, Payload: p.payload})
	}
	packet, err := onion.Build(session, route, theHash)
	require.NoError(h.t, err)
	if p.damage {
		packet[500] ^= 1
	}
	return durable.Message{ID: durable.Ref{LSN: 1}, From: p.channel, Body: &channelpb.IncomingHTLC{
		Id: p.id, AmountMsat: uint64(p.amount), PaymentHash: theHash[:], Expiry: p.expiry, Onion: packet[:],
		PathKey: p.pathKey, OverExposed: p.exposed, Closing: p.closing,
	}}
}

func (h *host) receive(p part) {
	h.t.Helper()
	require.NoError(h.t, h.step(h.message(p)))
}

// takeSent gives what was sent since the last time.
func (h *host) takeSent() []durable.Envelope {
	sent := h.sent
	h.sent = nil
	return sent
}

func (h *host) nothingSent() {
	h.t.Helper()
	require.Empty(h.t, h.takeSent())
}

// failures are the codes of FailHTLC that were sent, by channel and id; nothing else may have been sent.
func (h *host) failures() map[string][]lnwire.FailureMessage {
	h.t.Helper()
	all := map[string][]lnwire.FailureMessage{}
	for _, e := range h.takeSent() {
		fail, ok := e.Body.(*channelpb.FailHTLC)
		require.True(h.t, ok, "%T", e.Body)
		f, err := onion.Decrypt(session, []*btcec.PublicKey{nodePub}, fail.GetReason())
		require.NoError(h.t, err)
		all[key(e.To, fail.GetId())] = append(all[key(e.To, fail.GetId())], f.Message)
	}
	return all
}

// failed requires that exactly these HTLCs were failed, with that code.
func (h *host) failed(code lnwire.FailCode, htlcs ...string) {
	h.t.Helper()
	got := h.failures()
	for _, k := range htlcs {
		require.Len(h.t, got[k], 1, "%s among %v", k, got)
		require.Equal(h.t, code, got[k][0].Code(), k)
	}
	require.Len(h.t, got, len(htlcs))
}

// claimed requires that exactly these HTLCs were claimed, in one step, at their channels and monitors.
func (h *host) claimed(htlcs ...string) {
	h.t.Helper()
	var channels, monitors []string
	for _, e := range h.takeSent() {
		switch body := e.Body.(type) {
		case *channelpb.FulfillHTLC:
			require.Equal(h.t, thePreimage[:], body.GetPreimage())
			channels = append(channels, key(e.To, body.GetId()))
		case *channelpb.MonitorUpdate:
			for _, p := range body.GetPreimages() {
				require.Equal(h.t, thePreimage[:], p.GetPreimage())
				require.Equal(h.t, channelpb.Side_REMOTE, p.GetBy())
				monitors = append(monitors, string(e.To)+" "+string(rune('0'+p.GetId())))
			}
		default:
			require.Failf(h.t, "something else was sent", "%T", e.Body)
		}
	}
	var wanted []string
	for _, k := range htlcs {
		at, id, _ := bytes.Cut([]byte(k), []byte(" "))
		wanted = append(wanted, string(channel.MonitorOf(durable.Address(at)))+" "+string(id))
	}
	require.ElementsMatch(h.t, htlcs, channels)
	require.ElementsMatch(h.t, wanted, monitors)
}

func key(channel durable.Address, id uint64) string {
	return string(channel) + " " + string(rune('0'+id))
}

func (h *host) status() pb.Status { return h.state.stored.GetStatus() }
