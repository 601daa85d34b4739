package ctl

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/spf13/cobra"

	"stormcell/cmd/node/config"
	"stormcell/cmd/node/fault"
	"stormcell/messages/lnrpc"
	"stormcell/peer/address"
)

// progressInterval is how often who waits for a channel sees how far it is.
const progressInterval = time.Second

func openChannelCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "openchannel KEY[@HOST[:PORT]] AMOUNT",
		GroupID: groupChannels,
		Short:   "Open a channel with a node",
		Long: `Open a channel and return when it can be used; Ctrl-C only stops waiting. The
node must be connected, unless you say where it is. All money in the channel is
yours, but for what you --push. The amount has its unit: 250000sat, 2.5mbtc or
0.0025btc.`,
		Example: `  stormcell openchannel 02eec7245d... 1000000sat
  stormcell openchannel 02eec7245d...@node.example.org 0.01btc --feerate=5
  stormcell openchannel 02eec7245d... 2mbtc --push=50000sat --private --no-wait`,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: arguments(known(connectedPeers)),
	}
	fee := addFeeFlags(cmd)
	push := cmd.Flags().String("push", "", "an `AMOUNT` that the other node gets, as a gift")
	private := cmd.Flags().Bool("private", false, "do not announce the channel to the network")
	closeAddress := cmd.Flags().String("close-address", "", "the `ADDRESS` where alone your money goes when the channel is closed together")
	noWait := cmd.Flags().Bool("no-wait", false, "return when the funding transaction is published")
	return clientCommand(cmd, func(ctx context.Context, c *client, p printer, args []string) error {
		capacity, err := amountArgument("amount", args[1])
		if err != nil {
			return err
		}
		pushed, err := amountFlag("push", *push)
		if err != nil {
			return err
		}
		if err := fee.check(); err != nil {
			return err
		}
		if ctx, err = c.authorized(ctx); err != nil {
			return err
		}
		o := opening{api: lnrpc.NewLightningClient(c), p: p, noWait: *noWait}
		key, err := o.peer(ctx, c, args[0])
		if err != nil {
			return err
		}
		return o.run(ctx, &lnrpc.OpenChannelRequest{
			NodePubkey: key, LocalFundingAmount: int64(capacity), PushSat: int64(pushed), SatPerVbyte: *fee.rate,
			TargetConf: *fee.target, Private: *private, CloseAddress: *closeAddress,
		})
	})
}

// opening is a channel on its way.
type opening struct {
	api    lnrpc.LightningClient
	p      printer
	noWait bool

	at    *wire.OutPoint // nil until the funding transaction is published
	shown uint32         // how many more confirmations people were told of
}

// say tells people how far it is.
func (o *opening) say(format string, args ...any) {
	if !o.p.json {
		o.p.line(format, args...)
	}
}

// peer is the key of the node, which is connected first if it is said where it is.
func (o *opening) peer(ctx context.Context, c *client, text string) ([]byte, error) {
	key, host, _ := strings.Cut(text, "@")
	serialized, err := hex.DecodeString(key)
	if err != nil || len(serialized) != 33 {
		return nil, fault.New(fault.Usage, fmt.Errorf("%q is not a node's key", key), "A key has 66 hexadecimal digits.")
	}
	if host == "" {
		return serialized, nil
	}
	to, err := address.ParseNode(text, config.PeerPort(c.config.Network))
	if err != nil {
		return nil, fault.New(fault.Usage, err, "The other node's 'stormcell getinfo' shows its key and address.")
	}
	peers, err := o.api.ListPeers(ctx, &lnrpc.ListPeersRequest{})
	if err != nil {
		return nil, err
	}
	for _, peer := range peers.Peers {
		if strings.EqualFold(peer.PubKey, key) {
			return serialized, nil
		}
	}
	_, at, _ := strings.Cut(to.String(), "@")
	_, err = o.api.ConnectPeer(ctx, &lnrpc.ConnectPeerRequest{Addr: &lnrpc.LightningAddress{Pubkey: key, Host: at}})
	if err == nil {
		o.say("connected to %s", at)
	}
	return serialized, err
}

// run opens the channel, and tells of each step.
func (o *opening) run(ctx context.Context, r *lnrpc.OpenChannelRequest) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := o.api.OpenChannel(ctx, r)
	if err != nil {
		return err
	}
	updates, failed := receive(stream.Recv)
	look := time.NewTicker(progressInterval)
	defer look.Stop()
	for {
		select {
		case update := <-updates:
			done, err := o.update(update)
			if done || err != nil {
				return err
			}
		case err := <-failed:
			return o.explain(ctx, err)
		case <-look.C:
			o.progress(ctx)
		}
	}
}

// update takes what the daemon says. It is done when the caller need not wait any more.
func (o *opening) update(update *lnrpc.OpenStatusUpdate) (done bool, err error) {
	if pending := update.GetChanPending(); pending != nil {
		hash, err := chainhash.NewHash(pending.Txid)
		if err != nil {
			return true, err
		}
		o.at = wire.NewOutPoint(hash, pending.OutputIndex)
		o.say("the funding transaction is published; the channel will be\n    %s", o.at)
		if !o.noWait {
			return false, nil
		}
		return true, o.p.print(update, func() {})
	}
	if update.GetChanOpen() == nil {
		return false, nil
	}
	return true, o.p.print(update, func() { o.p.line("the channel is open") })
}

// progress tells how many confirmations are missing, when that has changed.
func (o *opening) progress(ctx context.Context) {
	if o.at == nil || o.p.json {
		return
	}
	pending, err := o.api.PendingChannels(ctx, &lnrpc.PendingChannelsRequest{})
	if err != nil {
		return // the stream tells what is wrong
	}
	for _, c := range pending.PendingOpenChannels {
		if left := c.ConfirmationsUntilActive; c.GetChannel().GetChannelPoint() == o.at.String() && left != o.shown {
			o.shown = left
			o.say("waiting for %s", moreConfirmations(left))
		}
	}
}

func moreConfirmations(n uint32) string {
	if n == 1 {
		return "1 more confirmation"
	}
	return fmt.Sprintf("%d more confirmations", n)
}

// explain says what becomes of a channel that the caller did not wait for.
func (o *opening) explain(ctx context.Context, err error) error {
	switch {
	case o.at != nil && ctx.Err() != nil:
		return fault.New(fault.Failed, errors.New("interrupted: the channel opens all the same"),
			"'stormcell pending' shows how far it is.")
	case strings.Contains(err.Error(), "is not online"):
		return fault.New(fault.Failed, errors.New("that node is not connected"),
			"Connect to it with 'stormcell connect KEY@HOST:PORT', or say KEY@HOST:PORT here.")
	}
	return err
}

// receive reads a stream on the side, to its end.
func receive[T any](recv func() (*T, error)) (<-chan *T, <-chan error) {
	updates, failed := make(chan *T, 1), make(chan error, 1)
	go func() {
		for {
			update, err := recv()
			if err != nil {
				failed <- err
				return
			}
			updates <- update
		}
	}()
	return updates, failed
}
