package ctl

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"stormcell/cmd/node/config"
	"stormcell/cmd/node/fault"
	"stormcell/messages/lnrpc"
	"stormcell/peer/address"
)

func connectCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "connect KEY@HOST[:PORT]",
		GroupID: groupPeers,
		Short:   "Connect to a node",
		Long: `Connect to a node and return when the connection is up. With --perm the node
stays connected: whenever the connection is lost, and after restarts, it is
dialled again until 'stormcell disconnect'.`,
		Example: `  stormcell connect 02eec7245d...@127.0.0.1:9735
  stormcell connect --perm 02eec7245d...@node.example.org`,
		Args: cobra.ExactArgs(1),
	}
	perm := cmd.Flags().Bool("perm", false, "stay connected, and return at once")
	timeout := cmd.Flags().Duration("timeout", 20*time.Second, "how `LONG` connecting may take, as 30s")
	return clientCommand(cmd, func(ctx context.Context, c *client, p printer, args []string) error {
		to, err := address.ParseNode(args[0], config.PeerPort(c.config.Network))
		if err != nil {
			return fault.New(fault.Usage, err, "The other node's 'stormcell getinfo' shows its key and address.")
		}
		if ctx, err = c.authorized(ctx); err != nil {
			return err
		}
		key, at, _ := strings.Cut(to.String(), "@")
		answer, err := lnrpc.NewLightningClient(c).ConnectPeer(ctx, &lnrpc.ConnectPeerRequest{
			Addr: &lnrpc.LightningAddress{Pubkey: key, Host: at}, Perm: *perm,
			Timeout: uint64(max(1, timeout.Round(time.Second)/time.Second)),
		})
		if err != nil {
			return err
		}
		return p.print(answer, func() {
			if *perm {
				p.line("staying connected to %s at %s", shortKey(key), at)
			} else {
				p.line("connected to %s at %s", shortKey(key), at)
			}
		})
	})
}

func disconnectCommand() *cobra.Command {
	return clientCommand(&cobra.Command{
		Use:               "disconnect KEY",
		GroupID:           groupPeers,
		Short:             "Disconnect from a node",
		Long:              "Close the connection to a node, and do not dial it any more.",
		Example:           "  stormcell disconnect 02eec7245d...",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: arguments(known(connectedPeers)),
	}, func(ctx context.Context, c *client, p printer, args []string) error {
		ctx, err := c.authorized(ctx)
		if err != nil {
			return err
		}
		answer, err := lnrpc.NewLightningClient(c).DisconnectPeer(ctx, &lnrpc.DisconnectPeerRequest{PubKey: args[0]})
		if err != nil {
			return err
		}
		return p.print(answer, func() { p.line("disconnected") })
	})
}

func peersCommand() *cobra.Command {
	return clientCommand(&cobra.Command{
		Use:     "peers",
		Aliases: []string{"listpeers"},
		GroupID: groupPeers,
		Short:   "List the connected nodes",
		Example: "  stormcell peers\n  stormcell peers --json | jq -r '.peers[].pub_key'",
		Args:    cobra.NoArgs,
	}, func(ctx context.Context, c *client, p printer, _ []string) error {
		ctx, err := c.authorized(ctx)
		if err != nil {
			return err
		}
		answer, err := lnrpc.NewLightningClient(c).ListPeers(ctx, &lnrpc.ListPeersRequest{})
		if err != nil {
			return err
		}
		return p.print(answer, func() { printPeers(p, answer.Peers) })
	})
}

// printPeers needs two lines for each: a key has 66 digits, and people must be able to copy it.
func printPeers(p printer, peers []*lnrpc.Peer) {
	if len(peers) == 0 {
		p.line("no peers: connect to one with 'stormcell connect KEY@HOST:PORT'")
		return
	}
	peers = slices.SortedFunc(slices.Values(peers), func(a, b *lnrpc.Peer) int { return strings.Compare(a.PubKey, b.PubKey) })
	for _, peer := range peers {
		direction := "we connected"
		if peer.Inbound {
			direction = "it connected"
		}
		p.line("%s  %s\n    %s", peer.PubKey, direction, peer.Address)
	}
}
