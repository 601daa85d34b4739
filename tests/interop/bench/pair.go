package main

import (
	"net"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/routerrpc"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/stretchr/testify/require"

	"stormcell/tests/interop/node"
)

// patience is how long anything may take that is not measured.
const patience = 2 * time.Minute

// capacity is of each channel: the most without wumbo.
const capacity btcutil.Amount = 16_777_215

// member is a node, and the addresses where it tells more of itself, if it does.
type member struct {
	*node.Lightning
	metrics, profiler string
}

// pair is two nodes of a kind with channels between them.
type pair struct {
	name     string
	host     *host
	chain    *node.Server
	members  [2]*member
	channels int
}

// stormcells starts two Stormcells.
func stormcells(h *host, chain *node.Server, o options) *pair {
	p := &pair{name: "stormcell", host: h, chain: chain}
	for i := range p.members {
		m := &member{metrics: freeAddress(h)}
		flags := append([]string{"--debuglevel=info", "--metricslisten=" + m.metrics}, o.flags...)
		if o.profiles != "" {
			m.profiler = freeAddress(h)
			flags = append(flags, "--pprof="+m.profiler)
		}
		m.Lightning = node.StartStormcell(h, chain, flags...)
		p.members[i] = m
	}
	return p.fund()
}

// lnds starts two lnds.
func lnds(h *host, chain *node.Server) *pair {
	p := &pair{name: "lnd", host: h, chain: chain}
	for i := range p.members {
		p.members[i] = &member{Lightning: node.StartLnd(h, chain)}
	}
	return p.fund()
}

func (p *pair) fund() *pair {
	for _, m := range p.members {
		m.Fund(p.chain, 5*btcutil.SatoshiPerBitcoin)
	}
	p.connect()
	return p
}

func (p *pair) connect() {
	a, b := p.members[0], p.members[1]
	p.await("the nodes do not connect", func() bool {
		if a.IsConnected(b.Lightning) && b.IsConnected(a.Lightning) {
			return true
		}
		_ = a.TryConnect(b.Lightning) // tried again
		return false
	})
}

func (p *pair) await(complaint string, f func() bool) {
	require.Eventually(p.host, f, patience, 10*time.Millisecond, "%s: %s", p.name, complaint)
}

// open opens channels until there are so many, the money of each on alternating sides, and waits until payments go through.
func (p *pair) open(channels int) {
	for ; p.channels < channels; p.channels++ {
		from, to := p.members[p.channels%2], p.members[1-p.channels%2]
		at := from.OpenTo(to.Lightning, capacity, capacity/2)
		p.await("no funding transaction", func() bool { return p.chain.InMempool(at.Hash) })
		p.chain.Mine(6)
		for _, m := range p.members {
			p.await("a channel does not open", func() bool { return m.Channel(at).GetActive() })
		}
	}
	for i := range p.members {
		p.await("payments do not go through", func() bool { return p.pay(p.members[i], p.invoice(p.members[1-i])) == nil })
	}
}

// richer is who can pay more, and the other.
func (p *pair) richer() (from, to *member) {
	balance := func(m *member) uint64 {
		b, err := m.ChannelBalance(m.Context(), &lnrpc.ChannelBalanceRequest{})
		require.NoError(p.host, err)
		return b.LocalBalance.GetMsat()
	}
	if balance(p.members[0]) >= balance(p.members[1]) {
		return p.members[0], p.members[1]
	}
	return p.members[1], p.members[0]
}

// amount is of each payment: enough for an output on every commitment.
const amount btcutil.Amount = 1_000

var amountMsat = lnwire.NewMSatFromSatoshis(amount)

func (p *pair) invoice(at *member) string {
	made, err := at.Invoice(amountMsat)
	require.NoError(p.host, err)
	return made.PaymentRequest
}

// pay pays an invoice.
func (p *pair) pay(from *member, invoice string) error {
	ended, err := from.Pay(&routerrpc.SendPaymentRequest{PaymentRequest: invoice})
	if err == nil && ended.Status != lnrpc.Payment_SUCCEEDED {
		err = &notPaid{ended.FailureReason}
	}
	return err
}

// notPaid is a payment that failed.
type notPaid struct{ why lnrpc.PaymentFailureReason }

func (e *notPaid) Error() string { return "a payment failed: " + e.why.String() }

// freeAddress is one of loopback that nobody listens on now.
func freeAddress(h *host) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(h, err)
	defer listener.Close()
	return listener.Addr().String()
}
