package ctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"stormcell/messages/lnrpc"
)

func infoCommand() *cobra.Command {
	return clientCommand(&cobra.Command{
		Use:     "getinfo",
		GroupID: groupDaemon,
		Short:   "Who this node is",
		Example: "  stormcell getinfo\n  stormcell getinfo --json | jq -r .identity_pubkey",
		Args:    cobra.NoArgs,
	}, func(ctx context.Context, c *client, p printer, _ []string) error {
		ctx, err := c.authorized(ctx)
		if err != nil {
			return err
		}
		info, err := lnrpc.NewLightningClient(c).GetInfo(ctx, &lnrpc.GetInfoRequest{})
		if err != nil {
			return err
		}
		return p.print(info, func() {
			version := info.Version
			if info.CommitHash != "" {
				version += fmt.Sprintf(" (%.10s)", info.CommitHash)
			}
			p.pairs(
				[2]string{"node", info.IdentityPubkey},
				[2]string{"at", strings.Join(hosts(info.Uris), "\n")},
				[2]string{"network", networkOf(info)},
				[2]string{"chain", chainOf(info)},
				[2]string{"peers", fmt.Sprint(info.NumPeers)},
				[2]string{"channels", channelsOf(info)},
				[2]string{"version", version},
			)
		})
	})
}

// hosts are the addresses in key@host:port.
func hosts(uris []string) []string {
	out := make([]string, len(uris))
	for i, uri := range uris {
		_, out[i], _ = strings.Cut(uri, "@")
	}
	return out
}

func networkOf(info *lnrpc.GetInfoResponse) string {
	if len(info.Chains) == 0 {
		return ""
	}
	return info.Chains[0].Network
}

// chainOf tells how far the wallet has seen the chain.
func chainOf(info *lnrpc.GetInfoResponse) string {
	if info.SyncedToChain {
		return fmt.Sprintf("block %d, synced", info.BlockHeight)
	}
	return fmt.Sprintf("block %d, catching up", info.BlockHeight)
}

func channelsOf(info *lnrpc.GetInfoResponse) string {
	return fmt.Sprintf("%d active, %d down, %d pending", info.NumActiveChannels, info.NumInactiveChannels,
		info.NumPendingChannels)
}

// stateNames are what people call the states.
var stateNames = map[lnrpc.WalletState]string{
	lnrpc.WalletState_NON_EXISTING:  "no wallet yet: run 'stormcell create'",
	lnrpc.WalletState_LOCKED:        "locked: run 'stormcell unlock'",
	lnrpc.WalletState_UNLOCKED:      "starting",
	lnrpc.WalletState_RPC_ACTIVE:    "starting",
	lnrpc.WalletState_SERVER_ACTIVE: "running",
}

func stateCommand() *cobra.Command {
	return clientCommand(&cobra.Command{
		Use:     "state",
		GroupID: groupDaemon,
		Short:   "How far the daemon has come",
		Example: "  stormcell state",
		Args:    cobra.NoArgs,
	}, func(ctx context.Context, c *client, p printer, _ []string) error {
		answer, err := lnrpc.NewStateClient(c).GetState(ctx, &lnrpc.GetStateRequest{})
		if err != nil {
			return err
		}
		return p.print(answer, func() { p.line("%s", stateNames[answer.State]) })
	})
}

func stopCommand() *cobra.Command {
	return clientCommand(&cobra.Command{
		Use:     "stop",
		GroupID: groupDaemon,
		Short:   "Stop the daemon",
		Long:    "Stop the daemon, and return when it has let go of its clients. The wallet need\nnot be unlocked.",
		Example: "  stormcell stop",
		Args:    cobra.NoArgs,
	}, func(ctx context.Context, c *client, p printer, _ []string) error {
		ctx, err := c.authorized(ctx)
		if err != nil {
			return err
		}
		stream, err := lnrpc.NewStateClient(c).SubscribeState(ctx, &lnrpc.SubscribeStateRequest{})
		if err != nil {
			return err
		}
		answer, err := lnrpc.NewLightningClient(c).StopDaemon(ctx, &lnrpc.StopRequest{})
		if err != nil {
			return err
		}
		for err == nil {
			_, err = stream.Recv()
		}
		return p.print(answer, func() { p.line("stopping") })
	})
}

// running waits until the node runs.
func running(ctx context.Context, c *client) error {
	stream, err := lnrpc.NewStateClient(c).SubscribeState(ctx, &lnrpc.SubscribeStateRequest{})
	if err != nil {
		return err
	}
	for {
		update, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return errors.New("the daemon stopped while it was starting: its log says why")
		}
		if err != nil {
			return err
		}
		if update.State == lnrpc.WalletState_SERVER_ACTIVE {
			return nil
		}
	}
}
