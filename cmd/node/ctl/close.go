package ctl

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/spf13/cobra"

	"stormcell/cmd/node/fault"
	"stormcell/messages/lnrpc"
)

func closeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "close CHANNEL",
		Aliases: []string{"closechannel"},
		GroupID: groupChannels,
		Short:   "Close a channel",
		Long: `Close a channel together with the peer, and show the id of the transaction that
closes it. CHANNEL is as 'stormcell channels' shows it, or the funding output,
TXID:INDEX. While the peer is not connected that is noted, and the channel
closes when it is back. Where the peer does not answer any more, --force closes
the channel without it; your money can then be spent only after some time.`,
		Example: `  stormcell close 830000x123x0
  stormcell close 830000x123x0 --address=bc1q... --feerate=3 --wait
  stormcell close 4a5e1e4baab8...:0 --force`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: arguments(known(openChannels)),
	}
	fee := addFeeFlags(cmd)
	force := cmd.Flags().Bool("force", false, "publish our commitment, without asking the peer")
	address := cmd.Flags().String("address", "", "the `ADDRESS` your money goes to (default one of the wallet)")
	wait := cmd.Flags().Bool("wait", false, "return when the transaction is in a block")
	yes := cmd.Flags().Bool("yes", false, "do not ask before a --force")
	return clientCommand(cmd, func(ctx context.Context, c *client, p printer, args []string) error {
		if err := fee.check(); err != nil {
			return err
		}
		ctx, err := c.authorized(ctx)
		if err != nil {
			return err
		}
		api := lnrpc.NewLightningClient(c)
		at, active, err := findChannel(ctx, api, args[0])
		if err != nil {
			return err
		}
		if *force && !*yes {
			if err := newPrompt(cmd).confirm("Close the channel without the peer? This cannot be taken back."); err != nil {
				return err
			}
		}
		return closeChannel(ctx, api, p, *wait, &lnrpc.CloseChannelRequest{
			ChannelPoint: &lnrpc.ChannelPoint{
				FundingTxid: &lnrpc.ChannelPoint_FundingTxidBytes{FundingTxidBytes: at.Hash[:]}, OutputIndex: at.Index,
			},
			Force: *force, SatPerVbyte: *fee.rate, TargetConf: *fee.target, DeliveryAddress: *address,
			NoWait: !*force && !active,
		})
	})
}

func closeChannel(
	ctx context.Context, api lnrpc.LightningClient, p printer, wait bool, r *lnrpc.CloseChannelRequest,
) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := api.CloseChannel(ctx, r)
	if err != nil {
		return err
	}
	begun := false
	for {
		update, err := stream.Recv()
		switch {
		case err != nil && begun && ctx.Err() != nil:
			return fault.New(fault.Failed, errors.New("interrupted: the channel closes all the same"),
				"'stormcell pending' shows how far it is.")
		case err != nil:
			return err
		case update.GetCloseInstant() != nil:
			begun = true
			if !wait {
				return p.print(update, func() { p.line("%s", closesLater) })
			}
			if !p.json {
				p.line("%s", closesLater)
			}
		case update.GetClosePending() != nil:
			begun = true
			if !wait {
				return p.print(update, func() { p.line("closed by %s", txid(update.GetClosePending().Txid)) })
			}
			if !p.json {
				p.line("closed by %s\nwaiting for a block that has it", txid(update.GetClosePending().Txid))
			}
		case update.GetChanClose() != nil:
			return p.print(update, func() { p.line("%s is in a block", txid(update.GetChanClose().ClosingTxid)) })
		}
	}
}

const closesLater = `the peer is not connected: the channel will close when it is back
(--force closes it without the peer)`

// txid shows a transaction's id as people write it.
func txid(serialized []byte) string {
	hash, err := chainhash.NewHash(serialized)
	if err != nil {
		return fmt.Sprintf("%x", serialized)
	}
	return hash.String()
}

// findChannel finds a channel by its funding output or its short id, and tells whether it is active. One that is not open can
// be named by its funding output alone, and counts as active: the daemon knows better.
func findChannel(ctx context.Context, api lnrpc.LightningClient, text string) (at wire.OutPoint, active bool, err error) {
	fits := func(c *lnrpc.Channel) bool { return c.ChannelPoint == at.String() }
	byOutput := strings.Contains(text, ":")
	if byOutput {
		point, err := wire.NewOutPointFromString(text)
		if err != nil {
			return wire.OutPoint{}, false, fault.New(fault.Usage, fmt.Errorf("%q is not TXID:INDEX: %w", text, err),
				"'stormcell channels --json' shows it as channel_point.")
		}
		at = *point
	} else {
		id, err := parseShortID(text)
		if err != nil {
			return wire.OutPoint{}, false, err
		}
		fits = func(c *lnrpc.Channel) bool { return c.ChanId == id }
	}
	answer, err := api.ListChannels(ctx, &lnrpc.ListChannelsRequest{})
	if err != nil {
		return wire.OutPoint{}, false, err
	}
	for _, c := range answer.Channels {
		if fits(c) {
			point, err := wire.NewOutPointFromString(c.ChannelPoint)
			if err != nil {
				return wire.OutPoint{}, false, fmt.Errorf("the daemon's answer: %w", err)
			}
			return *point, c.Active, nil
		}
	}
	if byOutput {
		return at, true, nil
	}
	return wire.OutPoint{}, false, fault.New(fault.Failed, fmt.Errorf("there is no open channel %s", text),
		"'stormcell channels' lists them, 'stormcell pending' those that close already.")
}

func parseShortID(text string) (uint64, error) {
	var parts [3]uint64
	fields := strings.Split(text, "x")
	bits := [3]int{24, 24, 16}
	wrong := len(fields) != len(parts)
	for i := 0; !wrong && i < len(parts); i++ {
		var err error
		parts[i], err = strconv.ParseUint(fields[i], 10, bits[i])
		wrong = err != nil
	}
	if wrong {
		return 0, fault.New(fault.Usage, fmt.Errorf("%q is no channel", text),
			"Say it as 'stormcell channels' shows it, as 830000x123x0, or the funding output as TXID:INDEX.")
	}
	id := lnwire.ShortChannelID{BlockHeight: uint32(parts[0]), TxIndex: uint32(parts[1]), TxPosition: uint16(parts[2])}
	return id.ToUint64(), nil
}
