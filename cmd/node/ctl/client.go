package ctl

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"stormcell/cmd/node/config"
	"stormcell/cmd/node/fault"
	"stormcell/cmd/node/rpc"
)

// client is a connection to the daemon of a data directory.
type client struct {
	*grpc.ClientConn
	config config.Client
	server string
}

// clientCommand makes a command that talks to the daemon, from what it does with the connection.
func clientCommand(cmd *cobra.Command, run func(ctx context.Context, c *client, p printer, args []string) error) *cobra.Command {
	config.ClientFlags(cmd.Flags())
	asJSON := cmd.Flags().Bool("json", false, "print JSON, for programs")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		cfg, err := config.LoadClient(cmd.Flags())
		if err != nil {
			return err
		}
		c, err := dial(cfg)
		if err != nil {
			return err
		}
		defer c.Close()
		return c.explain(run(cmd.Context(), c, printer{out: cmd.OutOrStdout(), json: *asJSON}, args))
	}
	return cmd
}

func dial(cfg config.Client) (*client, error) {
	server, err := findServer(cfg)
	if err != nil {
		return nil, err
	}
	creds, err := credentials.NewClientTLSFromFile(cfg.Path(rpc.CertFile), "")
	if err != nil {
		return nil, fault.New(fault.Unreachable, fmt.Errorf("the daemon's certificate: %w", err),
			"Is %s the right data directory? Choose one with --datadir or --network.", cfg.Dir)
	}
	conn, err := grpc.NewClient("passthrough:///"+server, grpc.WithTransportCredentials(creds))
	if err != nil {
		return nil, fault.New(fault.Usage, err, "Check --rpcserver.")
	}
	return &client{ClientConn: conn, config: cfg, server: server}, nil
}

// findServer is where the daemon answers.
func findServer(cfg config.Client) (string, error) {
	if cfg.Server != "" {
		return cfg.Server, nil
	}
	text, err := os.ReadFile(cfg.Path(config.AddressFile))
	if errors.Is(err, os.ErrNotExist) {
		return "", fault.New(fault.Unreachable, fmt.Errorf("no daemon runs on %s", cfg.Dir),
			"Start one with 'stormcell start', or choose another with --network, --datadir or --rpcserver.")
	}
	if err != nil {
		return "", fault.New(fault.Unreachable, err, "Choose the daemon with --rpcserver.")
	}
	return strings.TrimSpace(string(text)), nil
}

// authorized adds the admin macaroon to the calls made with a context.
func (c *client) authorized(ctx context.Context) (context.Context, error) {
	macaroon, err := os.ReadFile(c.config.Path(rpc.MacaroonFile))
	if err != nil {
		return nil, fault.New(fault.Forbidden, fmt.Errorf("the macaroon: %w", err),
			"The daemon makes it at its start. Is %s the right data directory?", c.config.Dir)
	}
	return metadata.AppendToOutgoingContext(ctx, "macaroon", hex.EncodeToString(macaroon)), nil
}

// explain turns what the API answers into a sentence, and what to do.
func (c *client) explain(err error) error {
	var f *fault.Fault
	answer, ok := status.FromError(err)
	if err == nil || errors.As(err, &f) || !ok {
		return err
	}
	said := errors.New(answer.Message())
	switch {
	case answer.Message() == rpc.TextNoWallet:
		return fault.New(fault.Locked, errors.New("there is no wallet yet"), "Make one with 'stormcell create'.")
	case answer.Message() == rpc.TextWalletLocked:
		return fault.New(fault.Locked, errors.New("the wallet is locked"), "Unlock it with 'stormcell unlock'.")
	case answer.Message() == rpc.TextWrongPassphrase:
		return fault.New(fault.Forbidden, errors.New("wrong passphrase"), "")
	case answer.Code() == codes.Unauthenticated:
		return fault.New(fault.Forbidden, fmt.Errorf("the daemon does not accept the macaroon: %w", said),
			"The macaroon of this daemon is %s in its data directory.", rpc.MacaroonFile)
	case answer.Code() == codes.Unavailable:
		return fault.New(fault.Unreachable, fmt.Errorf("the daemon at %s does not answer: %w", c.server, said),
			"If it is not running, start it with 'stormcell start'. Its log is in %s.", c.config.Dir)
	case answer.Code() == codes.Canceled:
		return errInterrupted
	default:
		return said
	}
}
