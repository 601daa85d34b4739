package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/btcsuite/btcd/btcutil/hdkeychain"
	"github.com/btcsuite/btcd/chaincfg"
	btcwire "github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwire"
	"google.golang.org/protobuf/proto"

	"stormcell/actors/channel"
	"stormcell/actors/durable"
	"stormcell/actors/monitor"
	"stormcell/chain/keys"
	channelpb "stormcell/messages/channel"
	"stormcell/peer/wire"
)

const (
	channelAddr durable.Address = "channel/1"
	userAddr    durable.Address = "user/main"
)

// channelNode is one side: its kernel, and the world around its channel.
type channelNode struct {
	kernel  *durable.Kernel
	signer  keys.Signer
	other   *channelNode
	funding *btcwire.MsgTx // once it is published
	ends    chan error     // of the HTLCs it offered
	changed chan struct{}  // the channel may have come further since somebody last looked
	syncs   func() uint64
	close   func()

	signed, checked atomic.Uint64 // signatures made for the peer, and of the peer
}

func newChannelNode(o options, seed byte) (*channelNode, error) {
	secret := sha256.Sum256([]byte{seed})
	master, err := hdkeychain.NewMaster(secret[:], &chaincfg.RegressionNetParams)
	if err != nil {
		return nil, err
	}
	n := &channelNode{ends: make(chan error, mostAtOnce), changed: make(chan struct{}, 1)}
	journal, syncs, done, err := openJournal(o, "badger")
	if err != nil {
		return nil, err
	}
	n.syncs, n.close = syncs, done
	n.kernel = durable.New(durable.Options{Journal: journal, World: n, Log: quiet()})
	signer, err := keys.NewLocalSigner(master, 1, durable.Wall{}.Parallel)
	if err == nil {
		n.signer = signer
		err = errors.Join(
			durable.Register(n.kernel, channel.Kind(), &channel.Core{
				Signer: signer, Policy: channel.DefaultPolicy(),
				Resolver: func(*channelpb.IncomingHTLC) durable.Address { return userAddr },
			}),
			durable.Register(n.kernel, monitor.Kind(), &monitor.Core{Signer: signer}),
			durable.Register(n.kernel, durable.Kind{Name: "user"}, users{}),
			durable.Register(n.kernel, durable.Kind{Name: "wallet"}, users{}),
		)
	}
	if err != nil {
		done()
		return nil, err
	}
	return n, nil
}

// mostAtOnce is room for the ends of the largest burst.
const mostAtOnce = 483

func (n *channelNode) stop() {
	_ = n.kernel.Stop(context.Background())
	n.close()
}

func (n *channelNode) id() (id [33]byte) {
	copy(id[:], n.signer.NodeKey().SerializeCompressed())
	return id
}

func (n *channelNode) canPay() bool {
	figures, err := n.kernel.Ask(context.Background(), channelAddr, channel.Figures{})
	return err == nil && figures.(channel.Balances).Room.Sendable > 0
}

// pay offers a burst and waits until every HTLC of it is settled with this node.
func (n *channelNode) pay(burst int) error {
	if err := n.kernel.Tell(userAddr, 0, offer{htlcs: burst}); err != nil {
		return err
	}
	for range burst {
		if err := <-n.ends; err != nil {
			return err
		}
	}
	return nil
}

// Release implements durable.World.
func (n *channelNode) Release(_ durable.Address, _ uint64, e durable.Effect) {
	switch e := e.(type) {
	case channel.SendWire:
		if err := n.carry(e.Message); err != nil {
			n.ends <- err
		}
	case channel.Changed:
		select {
		case n.changed <- struct{}{}:
		default: // nobody has looked since the last time
		}
	case channel.Publish:
		n.funding = e.Tx
	case ended:
		n.ends <- e.err
	case channel.Hangup:
		n.ends <- e.Reason
	case durable.Refused:
		n.ends <- e.Err
	}
}

// Ended implements durable.World.
func (n *channelNode) Ended(durable.Address, uint64) {}

// carry brings a message to the other node as the wire would.
func (n *channelNode) carry(m wire.Message) error {
	if signatures, ok := m.(*wire.CommitSig); ok {
		n.signed.Add(1 + uint64(len(signatures.HtlcSigs)))
		n.other.checked.Add(1 + uint64(len(signatures.HtlcSigs)))
	}
	data, err := wire.Encode(m)
	if err != nil {
		return err
	}
	if m, err = wire.Decode(data); err != nil {
		return err
	}
	if open, ok := m.(*wire.OpenChannel); ok {
		return n.other.kernel.Tell(channelAddr, 0, channel.Incoming{
			Peer: n.id(), Link: 1, Chain: *chaincfg.RegressionNetParams.GenesisHash, KeyIndex: 1, Message: open,
		})
	}
	return n.other.kernel.Tell(channelAddr, 0, channel.Received{Link: 1, Message: m})
}

// offer asks a user for a burst.
type offer struct{ htlcs int }

// ended is the effect of an HTLC's end.
type ended struct{ err error }

// users is the core of those around a channel: they offer, claim and fund. They keep nothing but that they are there, so that
// they stay awake. The payment preimage is where an onion would be.
type users struct{ pings }

func (users) Decide(s *PingState, m durable.Message, env durable.Env) (out durable.Outcome) {
	if s.Pings == 0 {
		out.Events = []proto.Message{&Pinged{}}
	}
	send := func(to durable.Address, body proto.Message) {
		out.Send = append(out.Send, durable.Envelope{To: to, Body: body})
	}
	switch body := m.Body.(type) {
	case offer:
		for range body.htlcs {
			onion := make([]byte, lnwire.OnionPacketSize)
			env.Random(onion[:32])
			hash := sha256.Sum256(onion[:32])
			send(channelAddr, &channelpb.AddHTLC{
				AmountMsat: channelAmount, PaymentHash: hash[:], Expiry: 1_000, Onion: onion,
			})
		}
	case *channelpb.IncomingHTLC:
		preimage := body.GetOnion()[:32]
		send(m.From, &channelpb.FulfillHTLC{Id: body.GetId(), Preimage: preimage})
		send(channel.MonitorOf(m.From), &channelpb.MonitorUpdate{
			Preimages: []*channelpb.Preimage{{By: channelpb.Side_REMOTE, Id: body.GetId(), Preimage: preimage}},
		})
	case *channelpb.HTLCSettled:
		send(channel.MonitorOf(m.From), &channelpb.Recorded{Id: body.GetId()})
		out.Release = []durable.Effect{ended{}}
	case *channelpb.HTLCFailed, *channelpb.HTLCRefused:
		out.Release = []durable.Effect{ended{fmt.Errorf("%T: %v", body, body)}}
	case *channelpb.FundingWanted:
		tx := btcwire.NewMsgTx(2)
		tx.AddTxIn(&btcwire.TxIn{Witness: btcwire.TxWitness{{1}}})
		tx.AddTxOut(btcwire.NewTxOut(int64(body.GetAmountSat()), body.GetPkScript()))
		var raw bytes.Buffer
		if err := tx.Serialize(&raw); err != nil {
			panic(err)
		}
		send(m.From, &channelpb.FundingReady{Tx: raw.Bytes()})
	}
	return out
}
