package ctl

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"stormcell/cmd/node/fault"
	"stormcell/messages/lnrpc"
)

func createCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "create",
		GroupID: groupWallet,
		Short:   "Make the node's wallet",
		Long: `Make the wallet: a new seed, or with --restore one that you have the words of.
The seed is stored encrypted under a passphrase that you choose. Its 24 words
are shown once: whoever has them has the money, and without them it is lost with
the disk.`,
		Example: `  stormcell create
  stormcell create --restore
  stormcell create --passphrase-file=secret --words-out=words   # for scripts`,
		Args: cobra.NoArgs,
	}
	restore := cmd.Flags().Bool("restore", false, "ask for the words of a seed instead of making one")
	passphraseFile := passphraseFlag(cmd)
	wordsOut := cmd.Flags().String("words-out", "", "write the words to a new `FILE` instead of showing them")
	return clientCommand(cmd, func(ctx context.Context, c *client, p printer, _ []string) error {
		api := lnrpc.NewWalletUnlockerClient(c)
		in := newPrompt(cmd)
		if err := canCreate(ctx, c); err != nil {
			return err
		}
		passphrase, err := in.newPassphrase(*passphraseFile)
		if err != nil {
			return err
		}
		words, err := in.seedWords(*restore, func() ([]string, error) {
			made, err := api.GenSeed(ctx, &lnrpc.GenSeedRequest{})
			return made.GetCipherSeedMnemonic(), err
		})
		if err != nil {
			return err
		}
		// The words are with the user before the seed is in use.
		if !*restore {
			if err := handOver(in, words, *wordsOut); err != nil {
				return err
			}
		}
		answer, err := api.InitWallet(ctx, &lnrpc.InitWalletRequest{WalletPassword: passphrase, CipherSeedMnemonic: words})
		if err != nil {
			return err
		}
		if err := running(ctx, c); err != nil {
			return err
		}
		return p.print(answer, func() {
			p.line("the wallet is made, and the node runs")
			if *restore {
				p.line("it looks for its coins on the chain: 'stormcell getinfo' says when it is synced")
			}
		})
	})
}

// canCreate refuses before anything is asked or shown.
func canCreate(ctx context.Context, c *client) error {
	answer, err := lnrpc.NewStateClient(c).GetState(ctx, &lnrpc.GetStateRequest{})
	if err != nil {
		return err
	}
	if answer.State != lnrpc.WalletState_NON_EXISTING {
		return fault.New(fault.Failed, errors.New("there is a wallet already"), "It is in %s.", c.config.Dir)
	}
	return nil
}

// handOver gives the words to the user: into a file, or on the screen, until they say that they have them.
func handOver(in *prompt, words []string, path string) error {
	if path == "" {
		return in.show(words)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, strings.Join(words, " "))
	return errors.Join(err, f.Sync(), f.Close())
}

func unlockCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "unlock",
		GroupID: groupWallet,
		Short:   "Unlock the wallet, which starts the node",
		Example: "  stormcell unlock\n  stormcell unlock --passphrase-file=secret   # for scripts",
		Args:    cobra.NoArgs,
	}
	passphraseFile := passphraseFlag(cmd)
	return clientCommand(cmd, func(ctx context.Context, c *client, p printer, _ []string) error {
		passphrase, err := newPrompt(cmd).passphrase("Passphrase: ", *passphraseFile)
		if err != nil {
			return err
		}
		answer, err := lnrpc.NewWalletUnlockerClient(c).UnlockWallet(ctx, &lnrpc.UnlockWalletRequest{WalletPassword: passphrase})
		if err != nil {
			return err
		}
		if err := running(ctx, c); err != nil {
			return err
		}
		return p.print(answer, func() { p.line("the wallet is unlocked, and the node runs") })
	})
}

func passphraseFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("passphrase-file", "", "read the passphrase from the first line of a `FILE` (- for stdin)")
}
