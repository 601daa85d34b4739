package ctl

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"stormcell/cmd/node/fault"
	"stormcell/messages/lnrpc"
)

func signMessageCommand() *cobra.Command {
	return clientCommand(&cobra.Command{
		Use:     "signmessage MESSAGE",
		GroupID: groupMore,
		Short:   "Sign a message with the node's key",
		Long: `Sign a message with the node's key, to show somebody that you own the node.
'stormcell verifymessage', and lncli, check the signature.`,
		Example: `  stormcell signmessage "this node is mine"`,
		Args:    cobra.ExactArgs(1),
	}, func(ctx context.Context, c *client, p printer, args []string) error {
		ctx, err := c.authorized(ctx)
		if err != nil {
			return err
		}
		answer, err := lnrpc.NewLightningClient(c).SignMessage(ctx, &lnrpc.SignMessageRequest{Msg: []byte(args[0])})
		if err != nil {
			return err
		}
		return p.print(answer, func() { p.line("%s", answer.Signature) })
	})
}

func verifyMessageCommand() *cobra.Command {
	return clientCommand(&cobra.Command{
		Use:     "verifymessage MESSAGE SIGNATURE",
		GroupID: groupMore,
		Short:   "Check which node has signed a message",
		Long: `Show which node has signed a message. It must be this one or have a channel with
it: any signature is somebody's, and of a key that nobody knows it says nothing.`,
		Example: `  stormcell verifymessage "this node is mine" d9tq4bfs...`,
		Args:    cobra.ExactArgs(2),
	}, func(ctx context.Context, c *client, p printer, args []string) error {
		ctx, err := c.authorized(ctx)
		if err != nil {
			return err
		}
		answer, err := lnrpc.NewLightningClient(c).VerifyMessage(ctx, &lnrpc.VerifyMessageRequest{
			Msg: []byte(args[0]), Signature: args[1],
		})
		if err != nil {
			return err
		}
		if err := p.print(answer, func() {}); err != nil {
			return err
		}
		switch {
		case answer.Pubkey == "":
			return errors.New("this is no signature")
		case !answer.Valid:
			return fault.New(fault.Failed, errors.New("no node that this one knows has signed this message"),
				"If you know the key that did, or think that the message is another: it is %s.", answer.Pubkey)
		case !p.json:
			p.line("signed by %s", answer.Pubkey)
		}
		return nil
	})
}
